"""Evidence of Azure's confidential VMs on SEV-SNP."""

from __future__ import annotations

from enarx.formats.evidence.families.azure import SNP, Evidence


def read(data: bytes) -> Evidence:
    """The evidence, in one of its forms. ParseError for anything else, and for that of other hardware."""
    evidence = Evidence.from_bytes(data)
    evidence.require(SNP)
    return evidence
