"""Evidence of Azure's confidential VMs on SEV-SNP."""

from __future__ import annotations

from enarx.formats.evidence.families.azure import SNP, Evidence


def read(data: bytes) -> Evidence:
    """Parse evidence of a VM on SEV-SNP. ParseError for anything else, and for evidence on other hardware."""
    evidence = Evidence.from_bytes(data)
    evidence.require(SNP)
    return evidence
