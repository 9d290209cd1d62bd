"""What a verifier found: claims, every check with its outcome, and one status that starts at not trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Never, TypeAlias, TypeVar

from enarx.errors import AppraisalError, EnarxError, UnavailableError, VerificationError
from enarx.record import as_dict, record

if TYPE_CHECKING:
    from enarx.verify.policy import AppraisalPolicy

_T = TypeVar("_T")

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
"""A policy left it unchecked, for the reason shown."""
NOT_CHECKED = "not checked"
"""What it would have been checked with is missing."""
NOT_REACHED = "not reached"
"""A check that it rests on has not passed."""
OUTCOMES = (PASSED, FAILED, SKIPPED, NOT_CHECKED, NOT_REACHED)

TRUSTED = "trusted"
AUTHENTIC = "authentic"
"""Signed by whom it should be; held against no policy."""
REFUSED = "refused"
"""Not acceptable to the policy."""
NOT_AUTHENTIC = "not authentic"
UNDECIDED = "undecided"
"""Something to decide it with is missing. Never to be taken for trusted."""
STATUSES = (TRUSTED, AUTHENTIC, REFUSED, NOT_AUTHENTIC, UNDECIDED)

Endorsements: TypeAlias = tuple[bytes, ...]
"""What others say in favour of evidence (certificates, revocation lists, TCB data) as it came, in any order: the kind's
verifier knows each by its content. From whom it came does not matter."""


@record()
class Unknown:
    """In the place of a claim that could not be found out, for this reason. No matcher accepts it but `Unchecked`."""

    reason: str


class Made(NamedTuple):
    """A check as it is made: `wants` and `found` are values, which nobody has put into words yet."""

    id: str
    outcome: str
    wants: object
    found: object
    anchor: str
    where: str
    hint: str = ""


class Check(Made):
    """One check: a stable id, its outcome, what was wanted and got, what it rests on, and where the rule stands.

    `hint` says what usually causes a failure. A verdict makes some sixty of these: as tuples, in a tenth of a record's time.
    """

    __slots__ = ()

    @property
    def code(self) -> str:
        """A word for machines: of a failure whose value tells several apart that of the value, else the id."""
        return getattr(self.found, "code", "") or self.id

    @property
    def wanted(self) -> str:
        """What would have been right, in words."""
        return show(self.wants)

    @property
    def got(self) -> str:
        """What was found, in words."""
        return show(self.found)


Row: TypeAlias = tuple[str, str, object, object, str, str, str]
"""A check that is not one yet: what `Made` has, in order. Most are never read, and making sixty takes its time."""


def outcomes_of(checks: Iterable[Row]) -> set[str]:
    """What there is among them."""
    return set(map(_outcome, checks))


_outcome: Callable[[Row], str] = itemgetter(1)


class Forecast(NamedTuple):
    """What is going to fail: the check of this id holds until then (unix seconds; None: no date is known)."""

    id: str
    until: int | None
    reason: str


class End(NamedTuple):
    """The end of something that a result rests on: unix seconds, and its name."""

    until: int
    reason: str


def first_end(forecast: tuple[Forecast, ...]) -> End | None:
    """The end that comes first; None if nothing ends at a known time."""
    return min([End(f.until, f.reason) for f in forecast if f.until is not None], default=None)


class Unused(NamedTuple):
    """An endorsement that the verdict does not rest on, by its place among those given (from 0), and why."""

    place: int
    reason: str


@record()
class Claims:
    """What evidence says, in the same words for every kind of TEE; a kind that says more has a subclass.

    kind         one of formats.evidence.KINDS
    measurement  of what was launched, as the kind measures it (simulated: 48 bytes)
    host_data    what the launch was bound to: 32 bytes; of a wider field the first 32 if the rest is zero, else all
    report_data  what the Keep put in, as it stands there (simulated: 64 bytes)
    debug        whether the host may look inside
    svn          the security version of the platform
    chip_id      which machine it was, as the kind names machines (simulated: 32 bytes)

    A field whose value could not be found out holds an `Unknown`, where its type allows that.
    """

    kind: str
    measurement: bytes
    host_data: bytes
    report_data: bytes
    debug: bool
    svn: int
    chip_id: bytes | Unknown


@record()
class AttestationResult:
    """The verdict, and every check that led to it. Only `enarx.verify` and its `appraise` make it.

    `claims` are there once the evidence is authentic. `rows` are the checks, as tuples; `checks` gives them as such. `at` is
    the time asked about (unix seconds), `policy` what the claims were held against, or would have been; `unused` are the
    endorsements that were given for nothing. It is neither true nor false: ask `require_trusted`.
    """

    status: str
    kind: str
    claims: Claims | None
    rows: tuple[Row, ...]
    forecast: tuple[Forecast, ...]
    at: int
    policy: AppraisalPolicy | None
    unused: tuple[Unused, ...] = ()

    def __post_init__(self) -> None:
        raise TypeError("AttestationResult is made by appraisal alone")

    def __bool__(self) -> Never:
        raise TypeError("a result is neither true nor false: use require_trusted() or its status")

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check that was made, or would have been."""
        return tuple(tuple.__new__(Check, row) for row in self.rows)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that stand between this and trust, those that failed first."""
        against = [check for check in self.checks if check.outcome in _AGAINST]
        return tuple(sorted(against, key=lambda check: _AGAINST.index(check.outcome)))

    @property
    def expires(self) -> int | None:
        """The first second (unix time) at which this result must no longer be used: the earliest end of everything that it
        rests on. None if it rests on nothing that ends, or the evidence is not authentic.
        """
        end = first_end(self.forecast)
        return None if end is None else end.until

    @property
    def ends_first(self) -> str | None:
        """What ends at `expires`."""
        end = first_end(self.forecast)
        return None if end is None else end.reason

    def require_trusted(self) -> None:
        """Return if it is trusted; else AppraisalError (with this result), VerificationError or UnavailableError."""
        if self.status != TRUSTED:
            raise_for(self.status, self.failed, self)

    def to_value(self) -> dict[str, Any]:
        """As plain values, for JSON; bytes in hexadecimal, None for what is unknown."""
        shown = ("status", "kind", "at", "claims", "checks", "forecast", "expires", "ends_first", "unused")
        policy = None if self.policy is None else self.policy.id
        return {name: plain(getattr(self, name)) for name in shown} | {"policy": policy}


_AGAINST = (FAILED, NOT_CHECKED, NOT_REACHED)


def result(
    status: str,
    kind: str,
    rows: tuple[Row, ...],
    *,
    at: int,
    claims: Claims | None = None,
    forecast: tuple[Forecast, ...] = (),
    policy: AppraisalPolicy | None = None,
    unused: tuple[Unused, ...] = (),
) -> AttestationResult:
    """For `enarx.verify` and its `appraise`."""
    return make(
        AttestationResult,
        status=status,
        kind=kind,
        claims=claims,
        rows=rows,
        forecast=forecast,
        at=at,
        policy=policy,
        unused=unused,
    )


def make(made_of: type[_T], **values: object) -> _T:
    """For the makers in `enarx.verify`: a record whose constructor refuses, so that nobody makes one in passing."""
    made, put = object.__new__(made_of), object.__setattr__
    for name, value in values.items():
        put(made, name, value)
    return made


def raise_for(status: str, checks: tuple[Check, ...], verdict: AttestationResult | None) -> Never:
    """Raise the error for a status that is not the one wanted, about the first check against it."""
    against = [check for outcome in _AGAINST for check in checks if check.outcome == outcome]
    code, said, hint = "not-appraised", ": held against no policy", ""
    if against:
        code, hint = against[0].code, against[0].hint
        said = f": {against[0].id} {against[0].outcome}, got {against[0].got}, wanted {against[0].wanted} ({against[0].where})"
    more = sum(check.outcome == FAILED for check in against) - 1
    message = f"{status}{said}" + (f", and {more} more" if more > 0 else "")
    error: EnarxError
    if status == NOT_AUTHENTIC:
        error = VerificationError(code, message, hint=hint)
    elif status == UNDECIDED:
        error = UnavailableError(code, message, hint=hint)
    else:
        error = AppraisalError(code, message, result=verdict, hint=hint)
    raise error


def plain(value: object) -> Any:
    """A value as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Check):
        return {
            name: getattr(value, name) for name in ("id", "outcome", "code", "wanted", "got", "anchor", "where", "hint")
        }
    if isinstance(value, (Forecast, Unused)):
        return value._asdict()
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Unknown):
        return None
    if not hasattr(value, "__fields__"):
        return value
    return SHOWN[type(value)](value) if type(value) in SHOWN else as_dict_plain(value)


def as_dict_plain(value: object) -> dict[str, Any]:
    """A record as JSON has it."""
    return {name: plain(item) for name, item in as_dict(value).items()}


def show(value: object) -> str:
    """A value as results show it: bytes and masks in hexadecimal."""
    return SHOWN.get(type(value), _shown)(value)


def _shown(value: object) -> str:
    return str(plain(value))


SHOWN: dict[type, Callable[[Any], str]] = {
    bytes: bytes.hex,
    bool: str,
    int: str,
    str: str,
    Unknown: lambda _: "unknown",
}
"""How values of a type are shown, where that is not worked out from their fields."""
