"""The checks of authenticity of evidence of Azure VMs on SEV-SNP (docs/attestation/azure.md)."""

from __future__ import annotations

from typing import Any

from enarx.formats.evidence.az_snp_vtpm import read
from enarx.record import as_dict
from enarx.verify.examination import Examination, Ledger
from enarx.verify.families import azure
from enarx.verify.kinds.az_snp_vtpm.claims import AzSnpClaims
from enarx.verify.kinds.snp import examine as snp
from enarx.verify.result import Endorsements
from enarx.verify.roots import Roots

WHERE = "docs/attestation/azure.md"
PREFIX = "snp-"
CHECKS = (*(PREFIX + id for id in snp.CHECKS), *azure.CHECKS)
"""The ids of all checks, in order: those of the hardware's report, then those of the virtual TPM."""


def examine(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """1. to 11. The checks of the kind snp, on the report within the HCL report.
    12. The report data is SHA-256 of the runtime data as received, followed by zeros. So its key is the virtual TPM's.
    13. The quote covers all SHA-256 registers.
    14. The quote's digest is that of the values.
    15. The virtual TPM's key signed the quote (RSASSA with SHA-256).

    A VCEK in the evidence counts as an endorsement. ParseError if the format is wrong.
    """
    parsed = read(evidence)
    beside = (parsed.vcek,) if parsed.vcek else ()
    inner = snp.examine(parsed.hcl.report, endorsements=endorsements + beside, roots=roots, now=now)
    ledger = Ledger(CHECKS, anchor=inner.anchor, where=WHERE, now=now)
    azure.examine_guest(ledger, parsed, inner, PREFIX)
    claims: dict[str, Any] = as_dict(inner.unverified_claims) | azure.guest_claims(parsed) | {"kind": "az-snp-vtpm"}
    return ledger.examination(
        AzSnpClaims(**claims),
        forecast=inner.forecast,
        unused=tuple([one for one in inner.unused if one.place < len(endorsements)]),
    )
