"""Validity periods: one check that everything a verdict rests on is valid at the time that the caller asks about.

Times are unix seconds. The verifier has no clock: `now` is always an argument. Dates are formatted by hand because pure
modules do not import `datetime`, which can read the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from enarx.verify.examination import Ledger

EXPIRED, NOT_YET_VALID = "expired", "not-yet-valid"
LATEST = 253_402_300_799
"""9999-12-31T23:59:59Z, the last second that RFC 3339 can write."""


class Period(NamedTuple):
    """The seconds from `start` to `end`, both included, during which the thing called `name` is valid."""

    start: int
    end: int
    name: str


class TimeAsked(NamedTuple):
    """The time that the caller asked about, and the period that it falls outside of, if any."""

    now: int
    outside: Period | None

    @property
    def code(self) -> str:
        """EXPIRED or NOT_YET_VALID; empty if the time is within every period."""
        if self.outside is None:
            return ""
        return EXPIRED if self.now > self.outside.end else NOT_YET_VALID

    def text(self) -> str:
        """The time, with the reason if it falls outside of the period."""
        return date(self.now) if self.outside is None else f"{date(self.now)}: {reason(self.outside, self.now)}"


class TimeWanted(NamedTuple):
    """The seconds from `start` to `end` in which everything is valid; `start` is 0 if there is no lower bound."""

    start: int
    end: int

    def text(self) -> str:
        """Both bounds, or the upper one alone."""
        return f"{date(self.start)} to {date(self.end)}" if self.start else f"until {date(self.end)}"


def date(when: int) -> str:
    """A time in RFC 3339 form, in UTC; the bare number of seconds if RFC 3339 cannot write it."""
    if not 0 <= when <= LATEST:
        return str(when)
    days, seconds = divmod(when, 86400)
    # Days since 0000-03-01: years that begin in March end with the leap day.
    era, day = divmod(days + 719_468, 146_097)  # an era is 400 years
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153  # 0 is March
    day -= (153 * month + 2) // 5
    year += 400 * era + (month > 9)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{year:04}-{(month + 2) % 12 + 1:02}-{day + 1:02}T{clock}Z"


def reason(period: Period, now: int) -> str:
    """Why something is not valid at `now`, which lies outside of its period."""
    if now > period.end:
        return f"expired: {period.name} ended {date(period.end)}"
    return f"not yet valid: {period.name} begins {date(period.start)}"


def outside(periods: Iterable[Period], now: int) -> Period | None:
    """The period to blame if `now` is not in all of them: the one that ended first, else the one that begins last."""
    ended = [period for period in periods if now > period.end]
    if ended:
        return min(ended, key=lambda period: period.end)
    return max((period for period in periods if now < period.start), key=lambda period: period.start, default=None)


def check_times(
    ledger: Ledger, id: str, periods: tuple[Period, ...], now: int, *, needs: str | tuple[str, ...] = (), hint: str = ""
) -> None:
    """Check that `now` lies within all of `periods`, of which there must be at least one."""
    start, end = max([period.start for period in periods]), min([period.end for period in periods])
    valid = start <= now <= end
    ledger.check(
        id,
        lambda: valid,
        wanted=TimeWanted(start, end),
        got=TimeAsked(now, None if valid else outside(periods, now)),
        needs=needs,
        hint=hint,
    )
