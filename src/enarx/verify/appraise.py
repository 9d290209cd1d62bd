"""Holding authentic evidence against a policy: every check is made and reported, whatever the others say."""

from __future__ import annotations

from enarx.errors import UsageError
from enarx.verify.policy import FIELDS, AppraisalPolicy, Exactly, Matcher, Unchecked, show
from enarx.verify.result import (
    FAILED,
    PASSED,
    REFUSED,
    SKIPPED,
    TRUSTED,
    AttestationResult,
    Check,
    VerifiedEvidence,
)

REPORT_DATA_SIZE = 64


def appraise(evidence: VerifiedEvidence, *, policy: AppraisalPolicy, report_data: bytes) -> AttestationResult:
    """1. freshness: the report data is exactly the 64 bytes given
    2. each field of the policy against the claim of its name

    Returns the result with all checks, those of the verification first. Trusted only if none failed.
    """
    if len(report_data) != REPORT_DATA_SIZE:
        raise UsageError(
            "report-data",
            f"report data of {len(report_data)} bytes, wanted {REPORT_DATA_SIZE}: nothing is fresh without",
        )
    claims = evidence.claims
    made = [
        _check(
            "report-data", Exactly(report_data), claims.report_data, evidence.anchor, "docs/spec/delivery.md, Messages"
        )
    ]
    for name in FIELDS:
        made.append(
            _check(
                name.replace("_", "-"), getattr(policy, name), getattr(claims, name), evidence.anchor, f"policy, {name}"
            )
        )
    checks = (*evidence.checks, *made)
    trusted = all(check.outcome in (PASSED, SKIPPED) for check in made)
    return AttestationResult(
        status=TRUSTED if trusted else REFUSED,
        kind=claims.kind,
        claims=claims,
        checks=checks,
        expires=evidence.expires,
    )


def _check(name: str, matcher: Matcher, got: object, anchor: str, where: str) -> Check:
    outcome = SKIPPED if isinstance(matcher, Unchecked) else PASSED if matcher.accepts(got) else FAILED
    return Check(id=name, outcome=outcome, wanted=matcher.text(), got=show(got), anchor=anchor, where=where)
