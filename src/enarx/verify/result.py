"""What a verifier found: claims, every check with its outcome, and one status that starts at not trusted."""

from __future__ import annotations

from typing import Any, Self

from enarx.errors import AppraisalError
from enarx.record import names, record

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
NOT_CHECKED = "not checked"
NOT_REACHED = "not reached"
OUTCOMES = (PASSED, FAILED, SKIPPED, NOT_CHECKED, NOT_REACHED)

TRUSTED = "trusted"
AUTHENTIC = "authentic"
REFUSED = "refused"


@record()
class Check:
    """One check: a stable id, its outcome, what was wanted and got, what it rests on, and where the rule stands."""

    id: str
    outcome: str
    wanted: str
    got: str
    anchor: str
    where: str


@record()
class Claims:
    """What authentic evidence says, in the same words for every kind of TEE. Sizes as in AppraisalPolicy."""

    kind: str
    measurement: bytes
    host_data: bytes
    report_data: bytes
    debug: bool
    svn: int
    chip_id: bytes


_MAKER = object()


@record()
class VerifiedEvidence:
    """Evidence whose signatures hold up to a root. Only a verifier can make one (`verified`)."""

    claims: Claims
    checks: tuple[Check, ...]
    anchor: str
    expires: int
    _made_by: object

    def __post_init__(self) -> None:
        if self._made_by is not _MAKER:
            raise TypeError("VerifiedEvidence is made by verifiers alone")


def verified(claims: Claims, checks: tuple[Check, ...], *, anchor: str, expires: int) -> VerifiedEvidence:
    """For the modules of `enarx.verify` that verify a kind, once every signature holds. `expires` in unix seconds."""
    return VerifiedEvidence(claims=claims, checks=checks, anchor=anchor, expires=expires, _made_by=_MAKER)


@record()
class AttestationResult:
    """The verdict. `expires` is when the first of its endorsements does (unix seconds), 0 if nothing was read."""

    status: str
    kind: str
    claims: Claims | None
    checks: tuple[Check, ...]
    expires: int

    @classmethod
    def unread(cls, kind: str) -> Self:
        """The result for evidence of a kind that the policy does not accept."""
        return cls(status=REFUSED, kind=kind, claims=None, checks=(), expires=0)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that speak against trust."""
        return tuple(check for check in self.checks if check.outcome in (FAILED, NOT_REACHED))

    def require_trusted(self) -> None:
        """AppraisalError with this result unless it is trusted."""
        if self.status != TRUSTED:
            first = self.failed[0] if self.failed else None
            said = f"{first.id} is {first.got}, wanted {first.wanted}" if first else f"status is {self.status}"
            more = f" (and {len(self.failed) - 1} more)" if len(self.failed) > 1 else ""
            raise AppraisalError(first.id if first else "not-trusted", f"not trusted: {said}{more}", result=self)

    def to_value(self) -> dict[str, Any]:
        """As plain values, for JSON; bytes in hexadecimal."""
        claims = None
        if self.claims is not None:
            items = {name: getattr(self.claims, name) for name in names(Claims)}
            claims = {k: v.hex() if isinstance(v, bytes) else v for k, v in items.items()}
        checks = [{name: getattr(check, name) for name in names(Check)} for check in self.checks]
        return {"status": self.status, "kind": self.kind, "claims": claims, "checks": checks, "expires": self.expires}
