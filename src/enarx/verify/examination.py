"""Authenticity: how a kind's checks are recorded, and the types of their outcome.

A kind's `examine` function makes its checks in a fixed order through a `Ledger`. The ledger yields an `Examination`,
whether the checks passed or not. Its claims are unverified until `Examination.verified` returns them as
`VerifiedEvidence`, which is the only input that appraisal takes:

    ledger = Ledger(CHECKS, anchor="AMD ARK-Genoa", where="docs/attestation/snp.md", now=now)
    ledger.check("signature", lambda: verifies(key, report), wanted="made by the VCEK", got="the report")
    evidence = ledger.examination(claims, forecast=ends).verified()
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from enarx.record import record
from enarx.verify.claims import Claims
from enarx.verify.result import (
    AUTHENTIC,
    FAILED,
    NOT_AUTHENTIC,
    NOT_CHECKED,
    NOT_REACHED,
    PASSED,
    UNDECIDED,
    Check,
    Forecast,
    Unused,
    construct,
    new_check,
    raise_for,
)


class Ledger:
    """Records the authenticity checks of one piece of evidence.

    Every check in `ids` must be made, in that order: RuntimeError otherwise, so that no verifier can forget one.

    anchor  the root of trust that the checks rest on
    where   the document whose numbered list has the rules, in the order of `ids`
    now     the time that the caller asked about, in unix seconds
    """

    __slots__ = ("_anchor", "_checks", "_ids", "_now", "_passed", "_where")

    def __init__(self, ids: tuple[str, ...], *, anchor: str, where: str, now: int) -> None:
        self._ids = ids
        self._anchor = anchor
        self._now = now
        self._where = _numbered(where, len(ids))
        self._checks: dict[str, Check] = {}
        self._passed: set[str] = set()

    def check(
        self,
        id: str,
        holds: Callable[[], bool | None],
        *,
        wanted: object,
        got: object,
        needs: str | tuple[str, ...] = (),
        hint: str = "",
    ) -> None:
        """Make one check.

        holds   whether the rule holds; None if an input that it needs is missing
        wanted  what the rule asks for, as text or as a value to be rendered as text; `got` likewise
        needs   the check that must have passed before `holds` is called, or several of them
        hint    the usual cause of a failure
        """
        if not (needs in self._passed if type(needs) is str else self._passed.issuperset(needs)):
            outcome, hint = NOT_REACHED, ""
        elif (verdict := holds()) is None:
            outcome = NOT_CHECKED
        elif verdict:
            outcome, hint = PASSED, ""
            self._passed.add(id)
        else:
            outcome = FAILED
        self._record(id, outcome, wanted, got, hint)

    def include(self, inner: Examination, *, prefix: str) -> None:
        """Record the checks of nested evidence with their outcomes; each id is `prefix` and the check's own id."""
        for check in inner.checks:
            if check.outcome == PASSED:
                self._passed.add(prefix + check.id)
            self._record(prefix + check.id, check.outcome, check.wanted_value, check.got_value, check.hint)

    def passed(self, id: str) -> bool | None:
        """Whether a check that was made has passed; None if it was not checked or not reached."""
        outcome = self._checks[id].outcome
        return True if outcome == PASSED else False if outcome == FAILED else None

    @property
    def all_passed(self) -> bool:
        """Whether every check made so far has passed."""
        return len(self._passed) == len(self._checks)

    def unreached(self) -> None:
        """Record all remaining checks as not reached."""
        for id in self._ids[len(self._checks) :]:
            self._record(id, NOT_REACHED, "the checks that it depends on", "none passed", "")

    def examination(
        self, unverified_claims: Claims, *, forecast: tuple[Forecast, ...], unused: tuple[Unused, ...] = ()
    ) -> Examination:
        """The outcome, once all checks are made."""
        if len(self._checks) != len(self._ids):
            raise RuntimeError(f"checks left out: {', '.join(self._ids[len(self._checks) :])}")
        checks = tuple(self._checks.values())
        return construct(
            Examination,
            status=_status(checks),
            unverified_claims=unverified_claims,
            checks=checks,
            anchor=self._anchor,
            forecast=forecast,
            at=self._now,
            unused=unused,
        )

    def _record(self, id: str, outcome: str, wanted: object, got: object, hint: str) -> None:
        position = len(self._checks)
        if self._ids[position] != id:
            raise RuntimeError(f"check out of order: {id}")
        self._checks[id] = new_check((id, outcome, wanted, got, self._anchor, self._where[position], hint))


@lru_cache(maxsize=64)
def _numbered(where: str, count: int) -> tuple[str, ...]:
    """The numbers of the list in a document."""
    return tuple([f"{where}, {number}" for number in range(1, count + 1)])


def _status(checks: tuple[Check, ...]) -> str:
    """Not authentic if a check failed; undecided if a missing input kept another check from being made; else authentic.

    An input that no other check depends on, such as a revocation list, may be missing: its claim is then unknown.
    """
    outcomes = {check.outcome for check in checks}
    if FAILED in outcomes or not outcomes:
        return NOT_AUTHENTIC
    return UNDECIDED if NOT_REACHED in outcomes else AUTHENTIC


@record()
class Examination:
    """All authenticity checks of one piece of evidence, with their outcomes. Only a `Ledger` makes one.

    status             AUTHENTIC, NOT_AUTHENTIC or UNDECIDED
    unverified_claims  what the evidence claims; proven only if the status is AUTHENTIC
    anchor             the root of trust, or "none"
    forecast           when the inputs of these checks end
    at                 the time that the caller asked about, in unix seconds
    """

    status: str
    unverified_claims: Claims
    checks: tuple[Check, ...]
    anchor: str
    forecast: tuple[Forecast, ...]
    at: int
    unused: tuple[Unused, ...] = ()

    def __post_init__(self) -> None:
        raise TypeError("only a Ledger makes an Examination")

    def verified(self) -> VerifiedEvidence:
        """The evidence, if it is authentic; VerificationError or UnavailableError otherwise."""
        if self.status != AUTHENTIC:
            raise_for(self.status, self.checks, None)
        return construct(
            VerifiedEvidence,
            claims=self.unverified_claims,
            checks=self.checks,
            anchor=self.anchor,
            forecast=self.forecast,
            at=self.at,
            unused=self.unused,
        )


@record()
class VerifiedEvidence:
    """Evidence whose signatures lead to a trusted root, `anchor`. Only `Examination.verified` makes one."""

    claims: Claims
    checks: tuple[Check, ...]
    anchor: str
    forecast: tuple[Forecast, ...]
    at: int
    unused: tuple[Unused, ...] = ()

    def __post_init__(self) -> None:
        raise TypeError("only Examination.verified makes VerifiedEvidence")
