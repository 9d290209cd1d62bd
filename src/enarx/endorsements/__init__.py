"""Endorsements from their vendors. The network only carries: whoever verifies judges what came (docs/endorsements.md)."""
