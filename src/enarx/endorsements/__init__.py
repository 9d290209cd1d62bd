"""Clients of the vendors' services for endorsements (docs/endorsements.md). They decide nothing: the verifier does."""
