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


def examine_guest(ledger: Ledger, found: Evidence, inner: Examination, prefix: str) -> None:
    """Record the checks of the hardware's report, with `prefix` before each id, and make those of the virtual TPM."""
    ledger.include(inner, prefix=prefix)
    bound = hashlib.sha256(found.hcl.runtime).digest().ljust(64, b"\0")
    ledger.check(
        "runtime-data",
        lambda: inner.unverified_claims.report_data == bound,
        wanted=inner.unverified_claims.report_data.hex(),
        got=bound.hex(),
        hint="the paravisor's keys and claims were altered",
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
        hint="the values of the registers were altered",
    )
    ledger.check(
        "quote-signature",
        lambda: _signed(found),
        wanted="made by the virtual TPM's key",
        got="the quote",
        needs="runtime-data",
        hint="the quote was altered, or another TPM made it",
    )


def _signed(found: Evidence) -> bool:
    e, n = found.key
    try:
        key = rsa.RSAPublicNumbers(e, n).public_key()
        key.verify(found.signature, found.quote.signed, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def guest_claims(found: Evidence) -> dict[str, Any]:
    """The claims of the virtual TPM and the paravisor."""
    absent = Unknown(reason="the runtime data does not say")
    return {
        "report_data": found.quote.extra,
        "pcrs": tuple(f"{i}:{value.hex()}" for i, value in enumerate(found.pcrs)),
        "secure_boot": absent if found.secure_boot is None else found.secure_boot,
        "vm_id": absent if found.vm_id is None else found.vm_id,
        "reset_count": found.quote.reset_count,
        "restart_count": found.quote.restart_count,
    }
