"""Evidence of Azure's confidential VMs on TDX."""

from __future__ import annotations

from enarx.formats.evidence.families.azure import TDX, Evidence


def read(data: bytes) -> Evidence:
    """Parse evidence of a VM on TDX. ParseError for anything else, and for evidence on other hardware."""
    evidence = Evidence.from_bytes(data)
    evidence.require(TDX)
    return evidence
