"""The checks of authenticity of evidence of Azure VMs on TDX (docs/attestation/azure-tdx.md)."""

from __future__ import annotations

from typing import Any

from enarx.formats.evidence.az_tdx_vtpm import read
from enarx.record import as_dict
from enarx.verify.examination import Examination, Ledger
from enarx.verify.families import azure
from enarx.verify.kinds.az_tdx_vtpm.claims import AzTdxClaims
from enarx.verify.kinds.tdx import examine as tdx
from enarx.verify.result import Endorsements
from enarx.verify.roots import Roots

WHERE = "docs/attestation/azure-tdx.md"
PREFIX = "td-"
CHECKS = (*(PREFIX + id for id in tdx.CHECKS), *azure.CHECKS)
"""The ids of all checks, in order: those of the hardware's report, then those of the virtual TPM."""


def examine(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """1. to 19. The checks of the kind tdx, on the quote beside the HCL report.
    20. to 23. The checks 12 to 15 of the kind az-snp-vtpm.

    ParseError if the format is wrong.
    """
    parsed = read(evidence)
    inner = tdx.examine(parsed.td_quote, endorsements=endorsements, roots=roots, now=now)
    ledger = Ledger(CHECKS, anchor=inner.anchor, where=WHERE, now=now)
    azure.examine_guest(ledger, parsed, inner, PREFIX)
    claims: dict[str, Any] = as_dict(inner.unverified_claims) | azure.guest_claims(parsed) | {"kind": "az-tdx-vtpm"}
    return ledger.examination(AzTdxClaims(**claims), forecast=inner.forecast, unused=inner.unused)
