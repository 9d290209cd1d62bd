"""The verifier: evidence, endorsements, policy and `now` in; a result with every check out. Pure: no I/O, no clock.

`policy` says what is acceptable, `roots` whom to believe, `result` what was found; `simulated` (and, for other kinds,
its siblings) shows that evidence is authentic; `appraise` holds it against a policy. `verify_and_appraise` does all of it.
"""

from __future__ import annotations

from functools import cache

from enarx.verify.appraise import appraise, require_usable, unappraised, unread, unverified
from enarx.verify.examination import Examination, VerifiedEvidence
from enarx.verify.kinds import Examine, find
from enarx.verify.policy import AppraisalPolicy
from enarx.verify.result import AUTHENTIC, AttestationResult, Endorsements
from enarx.verify.roots import Roots, TrustAnchor

__all__ = [
    "AppraisalPolicy",
    "AttestationResult",
    "Roots",
    "TrustAnchor",
    "appraise",
    "attestation_result",
    "examine",
    "unappraised",
    "verify",
    "verify_and_appraise",
]


def verify_and_appraise(
    kind: str,
    evidence: bytes,
    endorsements: Endorsements,
    *,
    policy: AppraisalPolicy,
    roots: Roots,
    report_data: bytes,
    now: int,
) -> AttestationResult:
    """Verify and appraise; returns a result that is trusted, and nothing else.

    `report_data` is the fresh data that the evidence must carry, `now` unix seconds. The policy selects the verifier: a
    kind that it does not accept is refused before its bytes are read. Raises AppraisalError with the result,
    VerificationError if the evidence is not authentic, ParseError, UnavailableError if it cannot be decided.
    """
    found = attestation_result(
        kind, evidence, endorsements, policy=policy, roots=roots, report_data=report_data, now=now
    )
    found.require_trusted()
    return found


def attestation_result(
    kind: str,
    evidence: bytes,
    endorsements: Endorsements,
    *,
    policy: AppraisalPolicy,
    roots: Roots,
    report_data: bytes,
    now: int,
) -> AttestationResult:
    """The result of `verify_and_appraise`, whatever its status: for callers that show why evidence is not trusted.

    The caller still has to ask `require_trusted`. ParseError if the bytes are not the format.
    """
    require_usable(policy, report_data)
    if not policy.kind.accepts(kind):
        return unread(kind, policy=policy, now=now)
    examination = examine(kind, evidence, endorsements, roots=roots, now=now)
    if examination.status != AUTHENTIC:
        return unverified(examination, policy=policy)
    return appraise(examination.verified(), policy=policy, report_data=report_data, now=now)


def verify(kind: str, evidence: bytes, endorsements: Endorsements, *, roots: Roots, now: int) -> VerifiedEvidence:
    """The evidence, if it is authentic. ParseError, VerificationError, or UnavailableError if it cannot be decided."""
    return examine(kind, evidence, endorsements, roots=roots, now=now).verified()


def examine(kind: str, evidence: bytes, endorsements: Endorsements, *, roots: Roots, now: int) -> Examination:
    """The checks of authenticity alone, of evidence that the caller takes to be of this kind.

    ParseError if the bytes are not the format, UsageError if there is no verifier for the kind.
    """
    return _examiner(kind)(evidence, endorsements=endorsements, roots=roots, now=now)


@cache
def _examiner(kind: str) -> Examine:
    """The checks of a kind; only what it needs is loaded."""
    return find(kind).examiner()
