"""The attestation result: the verifier's claims, checks and verdict.

Every check that was made, or that would have been made, is in the result with what was wanted, what the evidence had, and
the rule that decided. The verdict is one word, `status`. It is never a boolean, so that no caller can forget to look at it
or mistake "could not decide" for "no objection": a caller either reads `status` or calls `require_trusted`.

    result = appraise(evidence, policy=policy, report_data=nonce, now=now)
    result.require_trusted()          # AppraisalError, with every check, unless the status is "trusted"
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Never, TypeAlias, TypeVar

from enarx.errors import AppraisalError, EnarxError, UnavailableError, VerificationError
from enarx.record import record
from enarx.verify.values import plain, show

if TYPE_CHECKING:
    from enarx.verify.claims import Claims
    from enarx.verify.policy import AppraisalPolicy

_T = TypeVar("_T")

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
"""The policy leaves this claim unchecked, for the reason that the check shows."""
NOT_CHECKED = "not checked"
"""An input that the check needs is missing, such as a revocation list."""
NOT_REACHED = "not reached"
"""A check that this one depends on did not pass."""
OUTCOMES = (PASSED, FAILED, SKIPPED, NOT_CHECKED, NOT_REACHED)

TRUSTED = "trusted"
AUTHENTIC = "authentic"
"""The signatures hold, and the evidence was not appraised against a policy."""
REFUSED = "refused"
"""Authentic, but not acceptable to the policy."""
NOT_AUTHENTIC = "not authentic"
UNDECIDED = "undecided"
"""An input that the verdict needs is missing. Never treat this as trusted."""
STATUSES = (TRUSTED, AUTHENTIC, REFUSED, NOT_AUTHENTIC, UNDECIDED)

Endorsements: TypeAlias = tuple[bytes, ...]
"""Certificates, revocation lists and TCB data that support the evidence, as received and in any order.

The verifier of a kind recognizes each by its content. Endorsements are signed, so their origin does not matter.
"""


class Check(NamedTuple):
    """One check and its outcome.

    id            stable name, such as "certificate-tcb"
    outcome       PASSED, FAILED, SKIPPED, NOT_CHECKED or NOT_REACHED
    wanted_value  what the rule asks for: text, or a value that `wanted` renders as text
    got_value     what the evidence has: text, or a value that `got` renders as text
    anchor        the root of trust that the evidence was verified with, or "policy"
    where         where the rule is written down
    hint          the usual cause of a failure; empty unless it failed

    A verdict has about sixty checks and most are never displayed, so values become text only on demand.
    """

    id: str
    outcome: str
    wanted_value: object
    got_value: object
    anchor: str
    where: str
    hint: str = ""

    @property
    def code(self) -> str:
        """The machine-readable cause: the code of `got_value` if it has one (`expired`), else the check's id."""
        return getattr(self.got_value, "code", "") or self.id

    @property
    def wanted(self) -> str:
        """What the rule asks for, as text."""
        return show(self.wanted_value)

    @property
    def got(self) -> str:
        """What the evidence has, as text."""
        return show(self.got_value)

    def to_value(self) -> dict[str, str]:
        """The check as a JSON object."""
        return {
            "id": self.id,
            "outcome": self.outcome,
            "code": self.code,
            "wanted": self.wanted,
            "got": self.got,
            "anchor": self.anchor,
            "where": self.where,
            "hint": self.hint,
        }


new_check: Callable[[tuple[str, str, object, object, str, str, str]], Check] = partial(tuple.__new__, Check)
"""As `Check(...)`, from a tuple of all fields, in a third of the time."""


class Forecast(NamedTuple):
    """A check that will fail in the future: from `until` on (unix time), or at an unknown date if there is no `until`."""

    id: str
    until: int | None
    reason: str


class End(NamedTuple):
    """The first second (unix time) at which a result must no longer be used, and which of its inputs ends then."""

    until: int
    reason: str


def first_end(forecast: tuple[Forecast, ...]) -> End | None:
    """The earliest end of all inputs of a verdict; None if no input expires."""
    return min([End(f.until, f.reason) for f in forecast if f.until is not None], default=None)


class Unused(NamedTuple):
    """An endorsement that did not contribute to the verdict: its index among those given, and the reason."""

    place: int
    reason: str


@record()
class AttestationResult:
    """The verdict, with every check that led to it. Only the appraisal functions of `enarx.verify` make one.

    claims   None unless the evidence is authentic
    checks   authenticity first, then appraisal, each in its documented order
    at       the time that the caller asked about, in unix seconds
    policy   what the claims were appraised against, or would have been; None for authenticity alone
    unused   endorsements that did not contribute
    """

    status: str
    kind: str
    claims: Claims | None
    checks: tuple[Check, ...]
    forecast: tuple[Forecast, ...]
    at: int
    policy: AppraisalPolicy | None
    unused: tuple[Unused, ...] = ()

    def __post_init__(self) -> None:
        raise TypeError("only the appraisal functions make an AttestationResult")

    def __bool__(self) -> Never:
        raise TypeError("a result is neither true nor false: use require_trusted() or its status")

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that stand between this result and trust: failed ones first, then those without an outcome."""
        return _against(self.checks)

    @property
    def expires(self) -> int | None:
        """The first second (unix time) at which this result must no longer be used.

        None if no input of the verdict expires, or if the evidence is not authentic.
        """
        end = first_end(self.forecast)
        return None if end is None else end.until

    @property
    def ends_first(self) -> str | None:
        """The input of the verdict that ends at `expires`."""
        end = first_end(self.forecast)
        return None if end is None else end.reason

    def require_trusted(self) -> None:
        """Return if the status is trusted.

        Otherwise raise AppraisalError (with this result), VerificationError or UnavailableError.
        """
        if self.status != TRUSTED:
            raise_for(self.status, self.checks, self)

    def to_value(self) -> dict[str, Any]:
        """The result as a JSON object: bytes in hexadecimal, None for an unknown claim."""
        shown = ("status", "kind", "at", "claims", "checks", "forecast", "expires", "ends_first", "unused")
        policy = None if self.policy is None else self.policy.id
        return {name: plain(getattr(self, name)) for name in shown} | {"policy": policy}


def result(
    status: str,
    kind: str,
    checks: tuple[Check, ...],
    *,
    at: int,
    claims: Claims | None = None,
    forecast: tuple[Forecast, ...] = (),
    policy: AppraisalPolicy | None = None,
    unused: tuple[Unused, ...] = (),
) -> AttestationResult:
    """Make an AttestationResult. For the appraisal functions of `enarx.verify` only."""
    return construct(
        AttestationResult,
        status=status,
        kind=kind,
        claims=claims,
        checks=checks,
        forecast=forecast,
        at=at,
        policy=policy,
        unused=unused,
    )


def construct(record_type: type[_T], /, **fields: object) -> _T:
    """Make a record whose constructor raises: a verdict, or verified evidence.

    The constructor raises so that no code outside of the verifier, tests included, makes such a record by accident.
    """
    instance = object.__new__(record_type)
    for name, value in fields.items():
        object.__setattr__(instance, name, value)
    return instance


_AGAINST = (FAILED, NOT_CHECKED, NOT_REACHED)
"""Outcomes that stand between a result and trust, the gravest first."""


def _against(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    return tuple([check for outcome in _AGAINST for check in checks if check.outcome == outcome])


def raise_for(status: str, checks: tuple[Check, ...], verdict: AttestationResult | None) -> Never:
    """Raise the error for a status that is not good enough; its message names the gravest check."""
    against = _against(checks)
    code, cause, hint = "not-appraised", ": not appraised against a policy", ""
    if against:
        first = against[0]
        code, hint = first.code, first.hint
        cause = f": {first.id} {first.outcome}, got {first.got}, wanted {first.wanted} ({first.where})"
    more = sum(check.outcome == FAILED for check in against) - 1
    message = f"{status}{cause}" + (f", and {more} more" if more > 0 else "")
    error: EnarxError
    if status == NOT_AUTHENTIC:
        error = VerificationError(code, message, hint=hint)
    elif status == UNDECIDED:
        error = UnavailableError(code, message, hint=hint)
    else:
        error = AppraisalError(code, message, result=verdict, hint=hint)
    raise error
