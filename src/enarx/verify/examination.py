"""Is evidence authentic? The checks of it as they are made, what they came to, and the evidence once they all hold.

A `Ledger` makes the Examination, whose claims are still only said; `Examination.verified` makes VerifiedEvidence.
"""

from __future__ import annotations

from collections.abc import Callable

from enarx.record import record
from enarx.verify.result import (
    AUTHENTIC,
    FAILED,
    NOT_AUTHENTIC,
    NOT_CHECKED,
    NOT_REACHED,
    PASSED,
    UNDECIDED,
    Check,
    Claims,
    Forecast,
    make,
    raise_for,
)


class Ledger:
    """The checks of authenticity of one kind, written down as they are made: all of `ids`, in that order.

    `anchor` is that of every check, `where` the numbered list that the rules stand in.
    """

    def __init__(self, ids: tuple[str, ...], *, anchor: str, where: str) -> None:
        self._ids = ids
        self._anchor = anchor
        self._where = where
        self._made: dict[str, Check] = {}
        self._passed: set[str] = set()

    def check(
        self,
        id: str,
        holds: Callable[[], bool | None],
        *,
        wanted: str,
        got: str,
        needs: str | tuple[str, ...] = "",
        hint: str = "",
    ) -> None:
        """Make one check; None from `holds` means that what it needs is not there.

        If the check of the id `needs`, or of one of several, has not passed, this one is not reached.
        """
        if needs and not (needs in self._passed if isinstance(needs, str) else self._passed.issuperset(needs)):
            outcome, hint = NOT_REACHED, ""
        elif (found := holds()) is None:
            outcome = NOT_CHECKED
        elif found:
            outcome, hint = PASSED, ""
            self._passed.add(id)
        else:
            outcome = FAILED
        self._note(id, outcome, wanted, got, hint)

    def passed(self, id: str) -> bool | None:
        """Has this check, which was made, passed? None if it could not be made."""
        outcome = self._made[id].outcome
        return True if outcome == PASSED else False if outcome == FAILED else None

    @property
    def all_passed(self) -> bool:
        """Have all that were made passed?"""
        return len(self._passed) == len(self._made)

    def unreached(self) -> None:
        """Put down all that are left: there is nothing to make them with."""
        for id in self._ids[len(self._made) :]:
            self._note(id, NOT_REACHED, "what it rests on", "nothing", "")

    def examination(self, said: Claims, *, forecast: tuple[Forecast, ...]) -> Examination:
        """What the checks came to, now that all are made."""
        if len(self._made) != len(self._ids):
            raise RuntimeError(f"checks left out: {', '.join(self._ids[len(self._made) :])}")
        checks = tuple(self._made.values())
        return make(Examination, said=said, checks=checks, anchor=self._anchor, forecast=forecast)

    def _note(self, id: str, outcome: str, wanted: str, got: str, hint: str) -> None:
        made = len(self._made)
        if self._ids[made] != id:
            raise RuntimeError(f"check out of order: {id}")
        where = f"{self._where}, {made + 1}"
        self._made[id] = tuple.__new__(Check, (id, outcome, wanted, got, self._anchor, where, hint))


@record()
class Examination:
    """The checks of authenticity, whatever they came to. What `said` says is proven only if `status` is authentic.

    Only a `Ledger` makes it.
    """

    said: Claims
    checks: tuple[Check, ...]
    anchor: str
    forecast: tuple[Forecast, ...]

    def __post_init__(self) -> None:
        raise TypeError("Examination is made by verifiers alone")

    @property
    def status(self) -> str:
        """Authentic, not authentic, or undecided. A check that no other rests on may be left without its means."""
        outcomes = {check.outcome for check in self.checks}
        if FAILED in outcomes or not outcomes:
            return NOT_AUTHENTIC
        return UNDECIDED if NOT_REACHED in outcomes else AUTHENTIC

    def verified(self) -> VerifiedEvidence:
        """The evidence as verified; VerificationError or UnavailableError if it is not."""
        if self.status != AUTHENTIC:
            raise_for(self.status, self.checks, None)
        return make(VerifiedEvidence, claims=self.said, checks=self.checks, anchor=self.anchor, forecast=self.forecast)


@record()
class VerifiedEvidence:
    """Evidence whose signatures hold up to a root that was given (`anchor`). Only `Examination.verified` makes it."""

    claims: Claims
    checks: tuple[Check, ...]
    anchor: str
    forecast: tuple[Forecast, ...]

    def __post_init__(self) -> None:
        raise TypeError("VerifiedEvidence is made by verifiers alone")
