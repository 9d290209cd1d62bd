"""Simulated evidence is authentic, step by step (docs/spec/simulated.md). It says nothing about hardware."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from enarx.errors import UnavailableError, VerificationError
from enarx.formats.evidence.simulated import CHIP_LABEL, EVIDENCE_LABEL, KIND, ChipCertificate, Evidence
from enarx.verify.result import PASSED, Check, Claims, VerifiedEvidence, verified

WHERE = "docs/spec/simulated.md"


def verify_simulated(
    evidence: bytes, endorsements: tuple[bytes, ...], *, roots: tuple[bytes, ...], now: int
) -> VerifiedEvidence:
    """1. parse the evidence and the one endorsement, the chip's certificate
    2. a given root signed the certificate
    3. `now` (unix seconds) lies within its validity
    4. it is for the chip that the evidence names
    5. its key signed the evidence

    ParseError, VerificationError, or UnavailableError where the endorsement is missing.
    """
    report = Evidence.from_bytes(evidence)
    if len(endorsements) != 1:
        raise UnavailableError("endorsements", f"{len(endorsements)} endorsements, wanted the chip's certificate alone")
    chip = ChipCertificate.from_bytes(endorsements[0])
    root = _root(chip, roots)
    _in_time(chip, now)
    _same_chip(chip, report)
    _verify(chip.public_key, report.signature, EVIDENCE_LABEL + report.signed, "evidence-signature", "the evidence")
    anchor = f"simulated root {hashlib.sha256(root).hexdigest()[:16]}"
    return verified(_claims(report), _checks(chip, now, anchor), anchor=anchor, expires=chip.not_after)


def _root(chip: ChipCertificate, roots: tuple[bytes, ...]) -> bytes:
    for root in roots:
        try:
            Ed25519PublicKey.from_public_bytes(root).verify(chip.signature, CHIP_LABEL + chip.signed)
        except (InvalidSignature, ValueError):
            continue
        return root
    raise VerificationError(
        "chip-signature",
        f"the chip's certificate is signed by none of the {len(roots)} simulated roots given",
        hint="--simulated-root FILE names the root of the host's simulated hardware",
    )


def _in_time(chip: ChipCertificate, now: int) -> None:
    if not chip.not_before <= now <= chip.not_after:
        raise VerificationError(
            "chip-validity", f"the chip's certificate holds from {chip.not_before} to {chip.not_after}, now is {now}"
        )


def _same_chip(chip: ChipCertificate, report: Evidence) -> None:
    if chip.chip_id != report.chip_id:
        raise VerificationError("chip-identity", "the certificate is for another chip than the evidence names")


def _verify(key: bytes, signature: bytes, message: bytes, code: str, what: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise VerificationError(code, f"{what}: its signature does not hold") from None


def _claims(report: Evidence) -> Claims:
    return Claims(
        kind=KIND,
        measurement=report.measurement,
        host_data=report.host_data,
        report_data=report.report_data,
        debug=report.debug,
        svn=report.svn,
        chip_id=report.chip_id,
    )


def _checks(chip: ChipCertificate, now: int, anchor: str) -> tuple[Check, ...]:
    """The steps above, all of which have passed when this is reached."""
    steps = (
        ("chip-signature", "signed by a given root", anchor),
        ("chip-validity", f"{chip.not_before} to {chip.not_after}", str(now)),
        ("chip-identity", chip.chip_id.hex(), chip.chip_id.hex()),
        ("evidence-signature", "signed by the chip's key", "signed by the chip's key"),
    )
    return tuple(
        Check(id=name, outcome=PASSED, wanted=wanted, got=got, anchor=anchor, where=WHERE)
        for name, wanted, got in steps
    )
