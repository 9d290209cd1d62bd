"""Evidence of Azure's confidential VMs is authentic, step by step (docs/attestation/azure.md, azure-tdx.md)."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from enarx.errors import ParseError
from enarx.formats.evidence.azure import SNP, TDX, WHAT, Evidence
from enarx.formats.evidence.tpm import MAX_PCRS
from enarx.record import as_dict
from enarx.verify import dcap, snp
from enarx.verify.examination import Examination, Ledger, VerifiedEvidence
from enarx.verify.policies.azure import AzSnpClaims, AzTdxClaims
from enarx.verify.result import Endorsements
from enarx.verify.values import Unknown
from enarx.verify.roots import Roots

OWN = ("runtime-data", "pcr-selection", "pcr-digest", "quote-signature")
SNP_CHECKS = (*("snp-" + id for id in snp.CHECKS), *OWN)
TDX_CHECKS = (*("td-" + id for id in dcap.TDX_CHECKS), *OWN)
"""The id of every check that is made here, in order: those of the hardware's report, then those of what stands on it."""


def verify_az_snp(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> VerifiedEvidence:
    """Do the checks of `examine_az_snp` all hold? ParseError, VerificationError or UnavailableError if not."""
    return examine_az_snp(evidence, endorsements=endorsements, roots=roots, now=now).verified()


def verify_az_tdx(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> VerifiedEvidence:
    """As verify_az_snp."""
    return examine_az_tdx(evidence, endorsements=endorsements, roots=roots, now=now).verified()


def examine_az_snp(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """1. to 11. the checks of `examine_snp` on the report in the HCL report
    12. the report data is SHA-256 of the runtime data, as received, and zeros: so its key is the virtual TPM's
    13. the quote is of all registers of SHA-256
    14. its digest is that of the values given
    15. the virtual TPM's key signed the quote (RSASSA with SHA-256)

    A VCEK in the evidence counts as an endorsement. ParseError if the bytes are not the format.
    """
    found = _read(evidence, SNP)
    beside = (found.vcek,) if found.vcek else ()
    inner = snp.examine_snp(found.hcl.report, endorsements=endorsements + beside, roots=roots, now=now)
    ledger = Ledger(SNP_CHECKS, anchor=inner.anchor, where="docs/attestation/azure.md", now=now)
    _examine(ledger, found, inner, "snp-")
    said: dict[str, Any] = as_dict(inner.unverified_claims) | _said(found) | {"kind": "az-snp-vtpm"}
    given = tuple([one for one in inner.unused if one.place < len(endorsements)])
    return ledger.examination(AzSnpClaims(**said), forecast=inner.forecast, unused=given)


def examine_az_tdx(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """1. to 19. the checks of `examine_tdx` on the quote beside the HCL report
    20. to 23. as 12. to 15. of `examine_az_snp`

    ParseError if the bytes are not the format.
    """
    found = _read(evidence, TDX)
    inner = dcap.examine_tdx(found.td_quote, endorsements=endorsements, roots=roots, now=now)
    ledger = Ledger(TDX_CHECKS, anchor=inner.anchor, where="docs/attestation/azure-tdx.md", now=now)
    _examine(ledger, found, inner, "td-")
    said: dict[str, Any] = as_dict(inner.unverified_claims) | _said(found) | {"kind": "az-tdx-vtpm"}
    return ledger.examination(AzTdxClaims(**said), forecast=inner.forecast, unused=inner.unused)


def _read(evidence: bytes, kind: int) -> Evidence:
    found = Evidence.from_bytes(evidence)
    if found.hcl.kind != kind:
        raise ParseError("evidence-kind", f"hardware of type {found.hcl.kind}, wanted {kind}", what=WHAT)
    return found


def _examine(ledger: Ledger, found: Evidence, inner: Examination, prefix: str) -> None:
    ledger.include(inner, prefix=prefix)
    bound = hashlib.sha256(found.hcl.runtime).digest().ljust(64, b"\0")
    ledger.check(
        "runtime-data",
        lambda: inner.unverified_claims.report_data == bound,
        wanted=inner.unverified_claims.report_data.hex(),
        got=bound.hex(),
        hint="the paravisor's keys and claims were changed on their way",
    )
    ledger.check(
        "pcr-selection",
        lambda: found.quote.bank == "sha256" and found.quote.selection == tuple(range(MAX_PCRS)),
        wanted="all registers of sha256",
        got=f"{len(found.quote.selection)} registers of {found.quote.bank}",
    )
    digest = hashlib.sha256(b"".join(found.pcrs)).digest()
    ledger.check(
        "pcr-digest",
        lambda: digest == found.quote.digest,
        wanted=found.quote.digest.hex(),
        got=digest.hex(),
        needs="pcr-selection",
        hint="the values of the registers were changed on their way",
    )
    ledger.check(
        "quote-signature",
        lambda: _signed(found),
        wanted="made by the virtual TPM's key",
        got="the quote",
        needs="runtime-data",
        hint="the quote was changed on its way, or another TPM made it",
    )


def _signed(found: Evidence) -> bool:
    e, n = found.key
    try:
        key = rsa.RSAPublicNumbers(e, n).public_key()
        key.verify(found.signature, found.quote.signed, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _said(found: Evidence) -> dict[str, Any]:
    """What the virtual TPM and the paravisor say, beside the hardware."""
    absent = Unknown(reason="the runtime data does not say")
    return {
        "report_data": found.quote.extra,
        "pcrs": tuple(f"{i}:{value.hex()}" for i, value in enumerate(found.pcrs)),
        "secure_boot": absent if found.secure_boot is None else found.secure_boot,
        "vm_id": absent if found.vm_id is None else found.vm_id,
        "reset_count": found.quote.reset_count,
        "restart_count": found.quote.restart_count,
    }
