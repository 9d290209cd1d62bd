"""When things hold: one check that everything does at the time asked about, and what it says of what does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from enarx.verify.examination import Ledger
from enarx.verify.result import SHOWN

EXPIRED, NOT_YET_VALID = "expired", "not-yet-valid"
LATEST = 253_402_300_799
"""The last second of the year 9999, which dates are written up to."""


class Period(NamedTuple):
    """From, to (unix seconds), both included, and what it is that holds then."""

    start: int
    end: int
    name: str


class Asked(NamedTuple):
    """The time asked about, and the period that it falls out of, if there is one. `code` tells expired from not yet valid."""

    now: int
    outside: Period | None

    @property
    def code(self) -> str:
        """A word for machines; empty within the period."""
        if self.outside is None:
            return ""
        return EXPIRED if self.now > self.outside.end else NOT_YET_VALID

    def __str__(self) -> str:
        return date(self.now) if self.outside is None else f"{date(self.now)}: {reason(self.outside, self.now)}"


class Wanted(NamedTuple):
    """The period that the time asked about should lie in; `start` is 0 where it has no beginning."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{date(self.start)} to {date(self.end)}" if self.start else f"until {date(self.end)}"


SHOWN |= {Asked: str, Wanted: str}


def date(when: int) -> str:
    """As RFC 3339 has it; unix seconds where that has no date. Worked out here, for a pure module has no clock at hand."""
    if not 0 <= when <= LATEST:
        return str(when)
    days, seconds = divmod(when, 86400)
    era, day = divmod(days + 719_468, 146_097)  # from 0000-03-01 on, in spans of 400 years
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153  # from March on
    day -= (153 * month + 2) // 5
    year += 400 * era + (month > 9)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{year:04}-{(month + 2) % 12 + 1:02}-{day + 1:02}T{clock}Z"


def reason(period: Period, now: int) -> str:
    """Why something does not hold at a time that lies outside of its period."""
    if now > period.end:
        return f"expired: {period.name} ended {date(period.end)}"
    return f"not yet valid: {period.name} begins {date(period.start)}"


def outside(periods: Iterable[Period], now: int) -> Period | None:
    """Of what does not hold at `now` what ended first, or else what begins last."""
    ended = [period for period in periods if now > period.end]
    if ended:
        return min(ended, key=lambda period: period.end)
    return max((period for period in periods if now < period.start), key=lambda period: period.start, default=None)


def check_times(
    ledger: Ledger, id: str, periods: tuple[Period, ...], now: int, *, needs: str | tuple[str, ...] = "", hint: str = ""
) -> None:
    """Make the check that all of this, at least one thing, holds at `now`."""
    start, end = max([one.start for one in periods]), min([one.end for one in periods])
    holds = start <= now <= end
    ledger.check(
        id,
        lambda: holds,
        wanted=Wanted(start, end),
        got=Asked(now, None if holds else outside(periods, now)),
        needs=needs,
        hint=hint,
    )
