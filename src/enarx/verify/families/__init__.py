"""Certificates, collateral and checks that several kinds share. Each family belongs to a vendor, and knows no kind."""
