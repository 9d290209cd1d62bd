"""Appraisal: check verified evidence against a policy. Every check is made and reported, even if others fail.

The functions here are the only ones that make an AttestationResult:

    appraise       verified evidence and a policy: trusted, refused or undecided
    unappraised    verified evidence and no policy: authentic
    unverified     evidence that is not authentic, or that could not be decided
    unread         evidence of a kind that the policy does not accept: refused without reading it
"""

from __future__ import annotations

from functools import cache

from enarx.errors import UsageError
from enarx.record import names
from enarx.verify.claims import Claims
from enarx.verify.examination import Examination, VerifiedEvidence
from enarx.verify.kinds import KINDS
from enarx.verify.policy import AppraisalPolicy, Unchecked
from enarx.verify.result import (
    AUTHENTIC,
    FAILED,
    NOT_CHECKED,
    NOT_REACHED,
    PASSED,
    REFUSED,
    SKIPPED,
    TRUSTED,
    UNDECIDED,
    AttestationResult,
    Check,
    first_end,
    new_check,
    result,
)
from enarx.verify.times import Period, TimeAsked, TimeWanted
from enarx.verify.values import Unknown

MIN_FRESH = 16
"""The least number of bytes of report data. Shorter data may occur in two exchanges."""


def check_ids(policy: AppraisalPolicy) -> tuple[str, ...]:
    """The ids of the checks that appraisal against this policy makes, in order."""
    return ("endorsements-current", "report-data", *(rule.id for rule in policy.rules))


def appraise(evidence: VerifiedEvidence, *, policy: AppraisalPolicy, report_data: bytes, now: int) -> AttestationResult:
    """1. no input of the verification has expired at `now` (unix seconds), and `now` is not before the time of the verification:
       it is not known whether the inputs were valid earlier
    2. the evidence is fresh: its report data is exactly `report_data`, which nobody could know before this exchange
    3. each field of the policy accepts the claim of its name

    Returns the result with all checks, those of authenticity first. The status is trusted if no check of appraisal failed
    and each was made or skipped. UsageError if the policy is for evidence with other claims.
    """
    require_usable(policy, report_data)
    claims = evidence.claims
    if not _is_for(names(policy), names(claims)):
        policy_name = type(policy).__name__
        raise UsageError(
            "policy-form", f"{policy_name} is not a policy for evidence of kind {claims.kind}: other fields"
        )
    checks = (
        _check_current(evidence, now),
        _check_fresh(evidence, report_data),
        *_check_rules(policy, claims, evidence.anchor),
    )
    return result(
        _status(checks),
        claims.kind,
        (*evidence.checks, *checks),
        at=now,
        claims=claims,
        forecast=evidence.forecast,
        policy=policy,
        unused=evidence.unused,
    )


def unappraised(evidence: VerifiedEvidence) -> AttestationResult:
    """The result for evidence that is not appraised against a policy: authentic, and never trusted."""
    return result(
        AUTHENTIC,
        evidence.claims.kind,
        evidence.checks,
        at=evidence.at,
        claims=evidence.claims,
        forecast=evidence.forecast,
        unused=evidence.unused,
    )


def unverified(examination: Examination, *, policy: AppraisalPolicy | None = None) -> AttestationResult:
    """The result for evidence that is not authentic or could not be decided. It has no claims.

    If a policy is given, its checks are in the result as not reached.
    """
    if examination.status == AUTHENTIC:
        raise UsageError("examination", "evidence that is authentic has to be appraised")
    ids = check_ids(policy) if policy is not None else ()
    return result(
        examination.status,
        examination.unverified_claims.kind,
        (*examination.checks, *[_not_reached(id, examination.anchor) for id in ids]),
        at=examination.at,
        policy=policy,
        unused=examination.unused,
    )


def unread(kind: str, *, policy: AppraisalPolicy, now: int) -> AttestationResult:
    """The result for evidence of a kind that the policy does not accept. The evidence is not parsed."""
    known_kind = kind if kind in KINDS else "unknown"
    refused = Check("kind", FAILED, policy.kind.text(), known_kind, anchor="policy", where="policy, kind")
    checks = [refused if id == "kind" else _not_reached(id, "policy") for id in check_ids(policy)]
    return result(REFUSED, known_kind, tuple(checks), at=now, policy=policy)


def require_usable(policy: AppraisalPolicy, report_data: bytes) -> None:
    """UsageError if no verdict is possible with this policy or report data."""
    if not isinstance(policy, AppraisalPolicy):
        raise UsageError("policy", "a verdict needs a policy")
    if len(report_data) < MIN_FRESH:
        raise UsageError(
            "report-data",
            f"report data of {len(report_data)} bytes, wanted at least {MIN_FRESH}: shorter data do not prove freshness",
        )


@cache
def _is_for(policy_fields: tuple[str, ...], claim_fields: tuple[str, ...]) -> bool:
    """Whether a policy with these fields has a rule for each of these claims, and no others."""
    return {*policy_fields, "report_data"} == {*claim_fields}


def _check_current(evidence: VerifiedEvidence, now: int) -> Check:
    end = first_end(evidence.forecast)
    outside = None
    if end is not None and now >= end.until:
        outside = Period(0, end.until - 1, "the endorsement that expires first")
    elif now < evidence.at:
        outside = Period(evidence.at, now, "the verification")
    return Check(
        "endorsements-current",
        FAILED if outside else PASSED,
        "no end" if end is None else TimeWanted(0, end.until - 1),
        TimeAsked(now, outside),
        evidence.anchor,
        "enarx.verify.appraise, 1",
        "verify the evidence anew, with current endorsements" if outside else "",
    )


def _check_fresh(evidence: VerifiedEvidence, report_data: bytes) -> Check:
    carried = evidence.claims.report_data
    fresh = carried == report_data
    return Check(
        "report-data",
        PASSED if fresh else FAILED,
        report_data,
        carried,
        evidence.anchor,
        "enarx.verify.appraise, 2",
        "" if fresh else "the evidence is old, or belongs to another exchange or other keys",
    )


def _check_rules(policy: AppraisalPolicy, claims: Claims, anchor: str) -> list[Check]:
    checks: list[Check] = []
    for id, name, matcher, wanted, where, hint in policy.rules:  # some forty in each verdict, so the loop calls little
        claim = getattr(claims, name)
        if type(matcher) is Unchecked:
            outcome = SKIPPED
        elif type(claim) is Unknown:
            outcome = NOT_CHECKED
        else:
            outcome = PASSED if matcher.accepts(claim) else FAILED
        checks.append(new_check((id, outcome, wanted, claim, anchor, where, hint if outcome == FAILED else "")))
    return checks


def _not_reached(id: str, anchor: str) -> Check:
    return Check(id, NOT_REACHED, "authentic evidence", "none", anchor, "enarx.verify.appraise")


def _status(checks: tuple[Check, ...]) -> str:
    outcomes = {check.outcome for check in checks}
    if FAILED in outcomes:
        return REFUSED
    return UNDECIDED if NOT_CHECKED in outcomes else TRUSTED
