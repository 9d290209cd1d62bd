"""Holding authentic evidence against a policy: every check is made and reported, whatever the others say."""

from __future__ import annotations

from functools import cache
from itertools import repeat

from enarx.errors import UsageError
from enarx.record import names
from enarx.verify.examination import Examination, VerifiedEvidence
from enarx.verify.kinds import KINDS
from enarx.verify.policy import AppraisalPolicy
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
    Claims,
    Row,
    Unknown,
    first_end,
    outcomes_of,
    result,
)
from enarx.verify.times import Asked, Period, Wanted

MIN_FRESH = 16
"""Bytes of report data, at least: with fewer, two exchanges may have the same."""

HINTS = {
    "endorsements-current": "verify the evidence anew, with current endorsements",
    "report-data": "the evidence is old, or is about another exchange or other keys",
    "measurement": "another release, or another version of a package that the Keep is made of, or changed files; "
    "on the host `enarx platform` shows what it starts",
    "host-data": "the Keep was launched for another package, or for none yet (a pool)",
    "debug": "the host can look inside",
    "svn": "the platform lacks an update",
}
"""What usually causes a check to fail."""


def check_ids(policy: AppraisalPolicy) -> tuple[str, ...]:
    """The id of every check that appraisal against this policy makes, in order."""
    return ("endorsements-current", "report-data", *policy.rules.ids)


def appraise(evidence: VerifiedEvidence, *, policy: AppraisalPolicy, report_data: bytes, now: int) -> AttestationResult:
    """1. `now` (unix seconds) is before the first end of anything that the evidence was verified with, and not before the time
       that it was verified for: nothing is known to have held then
    2. freshness: the report data is exactly the bytes given, which nobody could know before this exchange
    3. each field of the policy accepts the claim of its name

    Returns the result with all checks, those of authenticity first: trusted if none of these failed, and each was made.
    UsageError if the policy is not one for such claims.
    """
    require_usable(policy, report_data)
    claims = evidence.claims
    if not _is_for(names(policy), names(claims)):
        name = type(policy).__name__
        raise UsageError("policy-form", f"{name} is no policy for evidence of kind {claims.kind}: other fields")
    made = [_current(evidence, now), _fresh(evidence, report_data), *_fields(claims, policy, evidence.anchor)]
    checks = (*evidence.checks, *made)
    return result(
        _status(made),
        claims.kind,
        checks,
        at=now,
        claims=claims,
        forecast=evidence.forecast,
        policy=policy,
        unused=evidence.unused,
    )


def unappraised(evidence: VerifiedEvidence) -> AttestationResult:
    """The result for evidence that is held against no policy: authentic, and never trusted."""
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
    """The result for evidence that is not authentic, or not known to be: its claims are held against nothing.

    With the policy that they would have been held against, the result has its checks as not reached.
    """
    if examination.status == AUTHENTIC:
        raise UsageError("examination", "evidence that is authentic has to be appraised")
    ids = check_ids(policy) if policy is not None else ()
    checks = (*examination.checks, *(_unreached(id, examination.anchor) for id in ids))
    found = examination
    return result(found.status, found.said.kind, checks, at=found.at, policy=policy, unused=found.unused)


def unread(kind: str, *, policy: AppraisalPolicy, now: int) -> AttestationResult:
    """The result for evidence of a kind that the policy does not accept: nothing of it is read."""
    known = kind if kind in KINDS else "unknown"
    checks = {id: _unreached(id, "policy") for id in check_ids(policy)}
    checks["kind"] = Check(
        id="kind", outcome=FAILED, wants=policy.kind.text(), found=known, anchor="policy", where="policy, kind"
    )
    return result(REFUSED, known, tuple(checks.values()), at=now, policy=policy)


def require_usable(policy: AppraisalPolicy, report_data: bytes) -> None:
    """UsageError if a verdict cannot be had with these."""
    if not isinstance(policy, AppraisalPolicy):
        raise UsageError("policy", "a verdict needs a policy")
    if len(report_data) < MIN_FRESH:
        got = len(report_data)
        raise UsageError(
            "report-data", f"report data of {got} bytes, wanted at least {MIN_FRESH}: nothing is fresh without"
        )


@cache
def _is_for(rules: tuple[str, ...], claims: tuple[str, ...]) -> bool:
    """Is a policy with these fields one for these claims?"""
    return {*rules, "report_data"} == {*claims}


def _current(evidence: VerifiedEvidence, now: int) -> Check:
    end = first_end(evidence.forecast)
    off = None
    if end is not None and now >= end.until:
        off = Period(0, end.until - 1, "what ends first of the endorsements")
    elif now < evidence.at:
        off = Period(evidence.at, now, "the verification")
    return _check(
        "endorsements-current",
        FAILED if off else PASSED,
        wants="no end" if end is None else Wanted(0, end.until - 1),
        found=Asked(now, off),
        anchor=evidence.anchor,
        where="enarx.verify.appraise, 1",
    )


def _fresh(evidence: VerifiedEvidence, report_data: bytes) -> Check:
    got = evidence.claims.report_data
    return _check(
        "report-data",
        PASSED if got == report_data else FAILED,
        wants=report_data,
        found=got,
        anchor=evidence.anchor,
        where="enarx.verify.appraise, 2",
    )


def _fields(claims: Claims, policy: AppraisalPolicy, anchor: str) -> list[Row]:
    """One check for each rule. There are some forty of them, so they are made with little ado."""
    rules = policy.rules
    found = rules.claimed(claims)
    outcomes, hints = [SKIPPED] * len(found), [""] * len(found)
    for i, matcher in rules.checked:
        claim = found[i]
        if type(claim) is Unknown:
            outcomes[i] = NOT_CHECKED
        elif matcher.accepts(claim):
            outcomes[i] = PASSED
        else:
            outcomes[i] = FAILED
            hints[i] = policy._hints.get(rules.ids[i]) or HINTS.get(rules.ids[i], "")
    return list(zip(rules.ids, outcomes, rules.wanted, found, repeat(anchor), rules.where, hints))


def _check(id: str, outcome: str, *, wants: object, found: object, anchor: str, where: str) -> Check:
    hint = HINTS.get(id, "") if outcome == FAILED else ""
    return tuple.__new__(Check, (id, outcome, wants, found, anchor, where, hint))


def _unreached(id: str, anchor: str) -> Check:
    return Check(
        id=id,
        outcome=NOT_REACHED,
        wants="authentic evidence",
        found="none",
        anchor=anchor,
        where="enarx.verify.appraise",
    )


def _status(made: list[Row]) -> str:
    outcomes = outcomes_of(made)
    if not outcomes <= {PASSED, SKIPPED, NOT_CHECKED}:
        return REFUSED
    return UNDECIDED if NOT_CHECKED in outcomes else TRUSTED
