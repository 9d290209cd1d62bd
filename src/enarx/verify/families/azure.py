"""The virtual TPM of Azure's confidential VMs, whose key the hardware's report binds (docs/attestation/azure.md)."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from enarx.formats.evidence.families.azure import Evidence
from enarx.formats.evidence.families.tpm import MAX_PCRS
from enarx.verify.examination import Examination, Ledger
from enarx.verify.values import Unknown

CHECKS = ("runtime-data", "pcr-selection", "pcr-digest", "quote-signature")
"""The ids of the checks of the virtual TPM, in order."""


def examine_guest(ledger: Ledger, evidence: Evidence, inner: Examination, prefix: str) -> None:
    """Record the checks of the hardware's report, with `prefix` before each id, and make those of the virtual TPM."""
    ledger.include(inner, prefix=prefix)
    bound = hashlib.sha256(evidence.hcl.runtime).digest().ljust(64, b"\0")
    ledger.check(
        "runtime-data",
        lambda: inner.unverified_claims.report_data == bound,
        wanted=inner.unverified_claims.report_data.hex(),
        got=bound.hex(),
        hint="the paravisor's keys and claims were altered",
    )
    ledger.check(
        "pcr-selection",
        lambda: evidence.quote.bank == "sha256" and evidence.quote.selection == tuple(range(MAX_PCRS)),
        wanted="all registers of sha256",
        got=f"{len(evidence.quote.selection)} registers of {evidence.quote.bank}",
    )
    digest = hashlib.sha256(b"".join(evidence.pcrs)).digest()
    ledger.check(
        "pcr-digest",
        lambda: digest == evidence.quote.digest,
        wanted=evidence.quote.digest.hex(),
        got=digest.hex(),
        needs="pcr-selection",
        hint="the values of the registers were altered",
    )
    ledger.check(
        "quote-signature",
        lambda: _signed(evidence),
        wanted="made by the virtual TPM's key",
        got="the quote",
        needs="runtime-data",
        hint="the quote was altered, or another TPM made it",
    )


def _signed(evidence: Evidence) -> bool:
    e, n = evidence.key
    try:
        key = rsa.RSAPublicNumbers(e, n).public_key()
        key.verify(evidence.signature, evidence.quote.signed, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def guest_claims(evidence: Evidence) -> dict[str, Any]:
    """The claims of the virtual TPM and the paravisor."""
    absent = Unknown(reason="the runtime data does not say")
    return {
        "report_data": evidence.quote.extra,
        "pcrs": tuple(f"{i}:{value.hex()}" for i, value in enumerate(evidence.pcrs)),
        "secure_boot": absent if evidence.secure_boot is None else evidence.secure_boot,
        "vm_id": absent if evidence.vm_id is None else evidence.vm_id,
        "reset_count": evidence.quote.reset_count,
        "restart_count": evidence.quote.restart_count,
    }
