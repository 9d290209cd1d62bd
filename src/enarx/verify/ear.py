"""A result as an EAT attestation result (draft-ietf-rats-ear-03), with a trustworthiness vector (draft-ietf-rats-ar4si, 2.3)."""

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
"""Seconds that a result may be used at most: later revocations and TCB data are not in it."""

AFFIRMING, NONE, WARNING, CONTRAINDICATED = TIERS
STATUSES = {
    TRUSTED: AFFIRMING,
    AUTHENTIC: NONE,
    UNDECIDED: NONE,
    REFUSED: CONTRAINDICATED,
    NOT_AUTHENTIC: CONTRAINDICATED,
}
"""The best tier for a result of each status; the trustworthiness vector may lower it."""

CRYPTO_FAILED = 99
"""AR4SI 2.3.4: cryptographic validation of the evidence has failed."""

NONCE_BYTES = range(16, 65)
"""Sizes of report data that fit `eat_nonce`, 8 to 88 characters (RFC 9711, 4.1), in base64url."""


def ear(result: AttestationResult, *, build: str) -> dict[str, Any]:
    """The claims set, to be signed as a JWT. `build` names the verifier."""
    found: dict[str, Any] = {
        "eat_profile": PROFILE,
        "iat": result.at,
        "exp": expiry(result),
        "ear_verifier_id": {"developer": DEVELOPER, "build": build},
        "submods": {result.kind: _appraisal(result)},
    }
    if nonce := _nonce(result):
        found["eat_nonce"] = nonce
    return found


def expiry(result: AttestationResult) -> int:
    """The end of the result: its own expiry, and at most `MAX_LIFETIME` after the time asked about."""
    latest = result.at + MAX_LIFETIME
    return latest if result.expires is None else min(result.expires, latest)


def status(result: AttestationResult, claimed: dict[str, int]) -> str:
    """The tier of the result's status, or the worst tier of its trustworthiness vector if that is worse."""
    return TIERS[max(TIERS.index(STATUSES[result.status]), *map(rank, claimed.values()), 0)]


def _appraisal(result: AttestationResult) -> dict[str, Any]:
    claimed = dict.fromkeys(VALUES, CRYPTO_FAILED) if result.status == NOT_AUTHENTIC else vector(result)
    found: dict[str, Any] = {"ear_status": status(result, claimed)}
    if claimed:
        found["ear_trustworthiness_vector"] = claimed
    if result.policy is not None:
        found["ear_appraisal_policy_ids"] = [result.policy.id]
    found["ear_enarx_checks"] = [
        {"id": check.id, "outcome": check.outcome, "got": check.got, "wanted": check.wanted} for check in result.checks
    ]
    if result.claims is not None:
        found["ear_enarx_claims"] = result.to_value()["claims"]
    return found


def _nonce(result: AttestationResult) -> str:
    """The report data that was asked for, if the evidence carries it and its size fits a nonce; otherwise empty."""
    for check in result.checks:
        fresh = check.got_value
        if check.id == "report-data" and check.outcome == PASSED and isinstance(fresh, bytes):
            return base64.urlsafe_b64encode(fresh).rstrip(b"=").decode() if len(fresh) in NONCE_BYTES else ""
    return ""
