"""The checks of authenticity of simulated evidence (docs/spec/simulated.md). They say nothing about hardware."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from enarx.errors import ParseError
from enarx.formats.evidence.simulated import CHIP_LABEL, EVIDENCE_LABEL, KIND, ChipCertificate, Evidence
from enarx.verify.examination import Examination, Ledger
from enarx.verify.kinds.simulated.claims import SimulatedClaims
from enarx.verify.kinds.simulated.roots import SIMULATED_ROOTS
from enarx.verify.result import Endorsements, Forecast, Unused
from enarx.verify.roots import Roots
from enarx.verify.times import Period, check_times

WHERE = "docs/spec/simulated.md, Checks"
CHECKS = ("chip-certificate", "chip-signature", "chip-validity", "chip-identity", "evidence-signature")
"""The ids of all checks, in order."""


def examine(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """1. The endorsement, the chip's certificate, is available. Without it nothing can be decided.
    2. A trusted root signed it.
    3. It is valid at `now` (unix seconds).
    4. It is for the chip that the evidence names.
    5. Its key signed the evidence.

    Not checked: revocation. A simulated chip is discarded together with its root. ParseError if the format is wrong.
    """
    report = Evidence.from_bytes(evidence)
    read = [_read(data) for data in endorsements]
    chips = [chip for chip in read if isinstance(chip, ChipCertificate)]
    chip = max(chips, key=lambda one: _fit(one, report, roots)) if len(chips) > 1 else chips[0] if chips else None
    root = _root(chip, roots) if chip else None
    ledger = Ledger(CHECKS, anchor=_anchor(root), where=WHERE, now=now)
    left = tuple([Unused(i, _why(one)) for i, one in enumerate(read) if one is not chip])
    _certificate(ledger, chip, read)
    if chip is None:
        ledger.unreached()
        return ledger.examination(_claims(report), forecast=(), unused=left)
    _chip_signature(ledger, root, roots)
    _validity(ledger, chip, now)
    _identity(ledger, chip, report)
    _evidence_signature(ledger, chip, report)
    forecast = Forecast(id="chip-validity", until=chip.not_after, reason="the chip's certificate ends")
    return ledger.examination(_claims(report), forecast=(forecast,), unused=left)


def _read(data: bytes) -> ChipCertificate | str:
    """A chip's certificate, or why the bytes are not one."""
    try:
        return ChipCertificate.from_bytes(data)
    except ParseError as e:
        return f"malformed: {e.message}"


def _why(one: ChipCertificate | str) -> str:
    return one if isinstance(one, str) else "another certificate, of this chip or of another"


def _fit(chip: ChipCertificate, report: Evidence, roots: Roots) -> tuple[bool, bool]:
    return _root(chip, roots) is not None, chip.chip_id == report.chip_id


def _anchor(root: bytes | None) -> str:
    """The name of a root in results; None stands for an unknown root."""
    return "none" if root is None else f"simulated root {hashlib.sha256(root).hexdigest()[:16]}"


def _root(chip: ChipCertificate, roots: Roots) -> bytes | None:
    """The trusted root that signed the certificate."""
    return next(
        (root for root in roots.pins(SIMULATED_ROOTS) if _signed(root, chip.signature, CHIP_LABEL + chip.signed)), None
    )


def _signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 key signed the message. Only for the checks of this module."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _certificate(ledger: Ledger, chip: ChipCertificate | None, read: list[ChipCertificate | str]) -> None:
    ledger.check(
        "chip-certificate",
        lambda: True if chip is not None else None,
        wanted="the chip's certificate",
        got="the chip's certificate" if chip is not None else _why(read[0]) if read else "no endorsement",
        hint="the host has to pass on its hardware's certificate",
    )


def _chip_signature(ledger: Ledger, root: bytes | None, roots: Roots) -> None:
    ledger.check(
        "chip-signature",
        lambda: root is not None,
        wanted="signed by a trusted root",
        got="signed by "
        + (_anchor(root) if root else f"none of the {len(roots.pins(SIMULATED_ROOTS))} simulated roots given"),
        needs="chip-certificate",
        hint="the root of the host's simulated hardware is its root.pub: give that file as --simulated-root",
    )


def _validity(ledger: Ledger, chip: ChipCertificate, now: int) -> None:
    check_times(
        ledger,
        "chip-validity",
        (Period(chip.not_before, chip.not_after, "the chip's certificate"),),
        now,
        needs="chip-signature",
        hint="the clock here or the clock there is wrong, or the chip has outlived its certificate",
    )


def _identity(ledger: Ledger, chip: ChipCertificate, report: Evidence) -> None:
    ledger.check(
        "chip-identity",
        lambda: chip.chip_id == report.chip_id,
        wanted=chip.chip_id.hex(),
        got=report.chip_id.hex(),
        needs="chip-signature",
        hint="the host passed on the certificate of another chip",
    )


def _evidence_signature(ledger: Ledger, chip: ChipCertificate, report: Evidence) -> None:
    ledger.check(
        "evidence-signature",
        lambda: _signed(chip.public_key, report.signature, EVIDENCE_LABEL + report.signed),
        wanted="signed by the chip's key",
        got="the evidence",
        needs="chip-signature",
        hint="the evidence was altered, or another chip made it",
    )


def _claims(report: Evidence) -> SimulatedClaims:
    return SimulatedClaims(
        kind=KIND,
        measurement=report.measurement,
        host_data=report.host_data,
        report_data=report.report_data,
        debug=report.debug,
        svn=report.svn,
        chip_id=report.chip_id,
    )
