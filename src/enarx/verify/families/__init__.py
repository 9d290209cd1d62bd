"""Chains, collateral and checks that several kinds share: each belongs to a vendor or a platform, and knows no kind."""
