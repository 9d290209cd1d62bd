"""Is evidence authentic? The checks of it as they are made, what they came to, and the evidence once they all hold.

A `Ledger` makes the Examination, whose claims are still only said; `Examination.verified` makes VerifiedEvidence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

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
    Unused,
    make,
    outcomes_of,
    raise_for,
)


class Ledger:
    """The checks of authenticity of one kind, written down as they are made: all of `ids`, in that order.

    `anchor` is that of every check, `where` the numbered list that the rules stand in, `now` the time asked about.
    """

    __slots__ = ("_anchor", "_ids", "_made", "_now", "_passed", "_where")

    def __init__(self, ids: tuple[str, ...], *, anchor: str, where: str, now: int) -> None:
        self._ids = ids
        self._anchor = anchor
        self._now = now
        self._where = _numbered(where, len(ids))
        self._made: dict[str, Check] = {}
        self._passed: set[str] = set()

    def check(
        self,
        id: str,
        holds: Callable[[], bool | None],
        *,
        wanted: object,
        got: object,
        needs: str | tuple[str, ...] = "",
        hint: str = "",
    ) -> None:
        """Make one check; None from `holds` means that what it needs is not there. `wanted` and `got` are texts, or values
        that are shown as such.

        If the check of the id `needs`, or of one of several, has not passed, this one is not reached.
        """
        if needs and needs not in self._passed and not (type(needs) is tuple and self._passed.issuperset(needs)):
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

    def examination(
        self, said: Claims, *, forecast: tuple[Forecast, ...], unused: tuple[Unused, ...] = ()
    ) -> Examination:
        """What the checks came to, now that all are made."""
        if len(self._made) != len(self._ids):
            raise RuntimeError(f"checks left out: {', '.join(self._ids[len(self._made) :])}")
        checks = tuple(self._made.values())
        status = _status(outcomes_of(checks))
        return make(
            Examination,
            status=status,
            said=said,
            checks=checks,
            anchor=self._anchor,
            forecast=forecast,
            at=self._now,
            unused=unused,
        )

    def _note(self, id: str, outcome: str, wanted: object, got: object, hint: str) -> None:
        made = len(self._made)
        if self._ids[made] != id:
            raise RuntimeError(f"check out of order: {id}")
        self._made[id] = tuple.__new__(Check, (id, outcome, wanted, got, self._anchor, self._where[made], hint))


@lru_cache(maxsize=64)
def _numbered(where: str, count: int) -> tuple[str, ...]:
    return tuple(f"{where}, {number}" for number in range(1, count + 1))


def _status(outcomes: set[str]) -> str:
    """A check that no other rests on may be left without its means."""
    if FAILED in outcomes or not outcomes:
        return NOT_AUTHENTIC
    return UNDECIDED if NOT_REACHED in outcomes else AUTHENTIC


@record()
class Examination:
    """The checks of authenticity, whatever they came to: `status` is authentic, not authentic, or undecided. What `said` says
    is proven only if it is authentic. `forecast` has the end of everything that the checks rest on, `at` is the time asked
    about. Only a `Ledger` makes it.
    """

    status: str
    said: Claims
    checks: tuple[Check, ...]
    anchor: str
    forecast: tuple[Forecast, ...]
    at: int
    unused: tuple[Unused, ...] = ()

    def __post_init__(self) -> None:
        raise TypeError("Examination is made by verifiers alone")

    def verified(self) -> VerifiedEvidence:
        """The evidence as verified; VerificationError or UnavailableError if it is not."""
        if self.status != AUTHENTIC:
            raise_for(self.status, self.checks, None)
        return make(
            VerifiedEvidence,
            claims=self.said,
            checks=self.checks,
            anchor=self.anchor,
            forecast=self.forecast,
            at=self.at,
            unused=self.unused,
        )


@record()
class VerifiedEvidence:
    """Evidence whose signatures hold up to a root that was given (`anchor`). Only `Examination.verified` makes it."""

    claims: Claims
    checks: tuple[Check, ...]
    anchor: str
    forecast: tuple[Forecast, ...]
    at: int
    unused: tuple[Unused, ...] = ()

    def __post_init__(self) -> None:
        raise TypeError("VerifiedEvidence is made by verifiers alone")
