"""The verifier: evidence, endorsements, roots, a policy and `now` in; a result with every check out. Pure: no I/O, no clock.

    examine              make every check of authenticity; returns an Examination, with the outcome of each
    verify               examine, and raise unless the evidence is authentic
    appraise             compare the claims of verified evidence with a policy
    verify_and_appraise  all of these; returns a trusted result, or raises
    attestation_result   all of these; returns the result whatever its status, to show why evidence is not trusted

`enarx.verify.kinds` is the registry of the kinds of TEE.
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
    """Verify evidence and appraise it; returns a trusted result.

    `report_data` is the fresh data that the evidence must carry, `now` the time in unix seconds. Evidence of a kind that the
    policy does not accept is refused before it is parsed. AppraisalError (with the result) if the policy refuses the claims,
    VerificationError if the evidence is not authentic, ParseError if its format is wrong, UnavailableError if an endorsement
    is missing that the decision needs.
    """
    result = attestation_result(
        kind, evidence, endorsements, policy=policy, roots=roots, report_data=report_data, now=now
    )
    result.require_trusted()
    return result


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

    The caller still has to call `require_trusted`. ParseError if the format is wrong.
    """
    require_usable(policy, report_data)
    if not policy.kind.accepts(kind):
        return unread(kind, policy=policy, now=now)
    examination = examine(kind, evidence, endorsements, roots=roots, now=now)
    if examination.status != AUTHENTIC:
        return unverified(examination, policy=policy)
    return appraise(examination.verified(), policy=policy, report_data=report_data, now=now)


def verify(kind: str, evidence: bytes, endorsements: Endorsements, *, roots: Roots, now: int) -> VerifiedEvidence:
    """The verified evidence. VerificationError, ParseError, or UnavailableError if an endorsement is missing."""
    return examine(kind, evidence, endorsements, roots=roots, now=now).verified()


def examine(kind: str, evidence: bytes, endorsements: Endorsements, *, roots: Roots, now: int) -> Examination:
    """Make every check of authenticity, of evidence that the caller takes to be of this kind.

    ParseError if the format is wrong, UsageError if the kind is unknown.
    """
    return _examiner(kind)(evidence, endorsements=endorsements, roots=roots, now=now)


@cache
def _examiner(kind: str) -> Examine:
    """The checks of a kind. Loads only what the kind needs."""
    return find(kind).examiner()
