"""A result as an EAT attestation result (EAR, draft-ietf-rats-ear-03), for parties that do not run a verifier.

The EAR has a trustworthiness vector (draft-ietf-rats-ar4si, 2.3), which says what the machine is whatever the policy accepts, and
an expiry, because later revocations are not in it. docs/attestation/results.md describes every claim.
"""

from __future__ import annotations

import base64
from typing import Any

from enarx.verify.result import (
    AUTHENTIC,
    NOT_AUTHENTIC,
    PASSED,
    REFUSED,
    TRUSTED,
    UNDECIDED,
    AttestationResult,
)
from enarx.verify.trust import TIERS, VALUES, rank, vector

PROFILE = "tag:ietf.org,2026:rats/ear#03"
DEVELOPER = "enarx"

MAX_LIFETIME = 24 * 3600
"""The longest lifetime of a result, in seconds."""

AFFIRMING, NONE, WARNING, CONTRAINDICATED = TIERS
STATUSES = {
    TRUSTED: AFFIRMING,
    AUTHENTIC: NONE,
    UNDECIDED: NONE,
    REFUSED: CONTRAINDICATED,
    NOT_AUTHENTIC: CONTRAINDICATED,
}
"""The tier of each status; the trustworthiness vector may lower it."""

CRYPTO_FAILED = 99
"""The value of each trustworthiness claim if cryptographic validation has failed (AR4SI, 2.3.4)."""

NONCE_BYTES = range(16, 65)
"""Sizes of report data that fit `eat_nonce`: 8 to 88 characters (RFC 9711, 4.1) in base64url."""


def ear(result: AttestationResult, *, build: str) -> dict[str, Any]:
    """The claims set of the EAR, to be signed as a JWT. `build` names the verifier's software."""
    claims: dict[str, Any] = {
        "eat_profile": PROFILE,
        "iat": result.at,
        "exp": expiry(result),
        "ear_verifier_id": {"developer": DEVELOPER, "build": build},
        "submods": {result.kind: _appraisal(result)},
    }
    if nonce := _nonce(result):
        claims["eat_nonce"] = nonce
    return claims


def expiry(result: AttestationResult) -> int:
    """The end of the result: its own expiry, and at most `MAX_LIFETIME` after the time asked about."""
    latest = result.at + MAX_LIFETIME
    return latest if result.expires is None else min(result.expires, latest)


def status(result: AttestationResult, trustworthiness: dict[str, int]) -> str:
    """The tier of the result's status, or the worst tier in its trustworthiness vector if that is worse."""
    return TIERS[max(TIERS.index(STATUSES[result.status]), *map(rank, trustworthiness.values()), 0)]


def _appraisal(result: AttestationResult) -> dict[str, Any]:
    not_authentic = result.status == NOT_AUTHENTIC
    trustworthiness = dict.fromkeys(VALUES, CRYPTO_FAILED) if not_authentic else vector(result)
    appraisal: dict[str, Any] = {"ear_status": status(result, trustworthiness)}
    if trustworthiness:
        appraisal["ear_trustworthiness_vector"] = trustworthiness
    if result.policy is not None:
        appraisal["ear_appraisal_policy_ids"] = [result.policy.id]
    appraisal["ear_enarx_checks"] = [
        {"id": check.id, "outcome": check.outcome, "got": check.got, "wanted": check.wanted} for check in result.checks
    ]
    if result.claims is not None:
        appraisal["ear_enarx_claims"] = result.to_value()["claims"]
    return appraisal


def _nonce(result: AttestationResult) -> str:
    """The report data that was asked for, if the evidence carries it and its size fits a nonce; otherwise empty."""
    for check in result.checks:
        fresh = check.got_value
        if check.id == "report-data" and check.outcome == PASSED and isinstance(fresh, bytes):
            return base64.urlsafe_b64encode(fresh).rstrip(b"=").decode() if len(fresh) in NONCE_BYTES else ""
    return ""
