"""A result as an EAT attestation result (draft-ietf-rats-ear), with a trustworthiness vector (draft-ietf-rats-ar4si, 2.3)."""

from __future__ import annotations

from typing import Any

from enarx.verify.result import (
    AUTHENTIC,
    NOT_AUTHENTIC,
    PASSED,
    REFUSED,
    SKIPPED,
    TRUSTED,
    UNDECIDED,
    AttestationResult,
)

PROFILE = "tag:ietf.org,2026:rats/ear#01"

AFFIRMING, NONE, WARNING, CONTRAINDICATED = "affirming", "none", "warning", "contraindicated"
STATUSES = {
    TRUSTED: AFFIRMING,
    AUTHENTIC: NONE,
    UNDECIDED: NONE,
    REFUSED: CONTRAINDICATED,
    NOT_AUTHENTIC: CONTRAINDICATED,
}

CRYPTO_FAILED = 99
"""AR4SI 2.3.2: cryptographic validation of the evidence has failed."""

_VECTOR: dict[str, tuple[tuple[str, ...], int, int]] = {
    "instance-identity": (("chip-id", "ppid", "csp-id"), 2, 97),
    "executables": (("measurement", "pcrs", "rtmr1", "rtmr2"), 2, 33),
    "configuration": (
        (
            "host-data",
            "policy-smt",
            "policy-migration-agent",
            "td-attributes",
            "sept-ve-disable",
            "rtmr0",
            "secure-boot",
        ),
        2,
        96,
    ),
    "hardware": (
        (
            *("svn", "reported-tcb", "committed-tcb", "launch-tcb", "platform-alias-check"),
            *("tcb-status", "advisories", "revoked", "lifecycle"),
        ),
        2,
        32,
    ),
    "runtime-opaque": (("debug",), 2, 32),
}
"""Of each claim of the vector the checks that it speaks of, its value where all of them passed, and where one failed."""


def ear(result: AttestationResult, *, now: int, build: str) -> dict[str, Any]:
    """The claims set, to be signed as a JWT. `now` is unix seconds, `build` names the verifier that says this."""
    appraisal: dict[str, Any] = {
        "ear.status": STATUSES[result.status],
        "ear.trustworthiness-vector": _vector(result),
        "ear.enarx.checks": [
            {"id": c.id, "outcome": c.outcome, "got": c.got, "wanted": c.wanted} for c in result.checks
        ],
    }
    if result.claims is not None:
        appraisal["ear.enarx.claims"] = result.to_value()["claims"]
    found: dict[str, Any] = {
        "eat_profile": PROFILE,
        "iat": now,
        "ear.verifier-id": {"build": build, "developer": "enarx"},
        "submods": {result.kind: appraisal},
    }
    if result.expires:
        found["exp"] = result.expires
    return found


def _vector(result: AttestationResult) -> dict[str, int]:
    if result.status == NOT_AUTHENTIC:
        return dict.fromkeys(_VECTOR, CRYPTO_FAILED)
    outcomes = {check.id: check.outcome for check in result.checks}
    found = {}
    for name, (ids, good, bad) in _VECTOR.items():
        made = [outcomes[id] for id in ids if id in outcomes and outcomes[id] != SKIPPED]
        if made and all(outcome == PASSED for outcome in made):
            found[name] = good
        elif "failed" in made:
            found[name] = bad
    return found
