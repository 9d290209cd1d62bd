"""The verifier: evidence, endorsements, policy and `now` in; a result with every check out. Pure: no I/O, no clock.

`policy` says what is acceptable, `result` what was found; `simulated` (and, for other kinds, its siblings) shows that
evidence is authentic; `appraise` holds it against a policy. `evaluate` does all of it.
"""

from __future__ import annotations

from enarx.errors import AppraisalError, UsageError
from enarx.verify.appraise import appraise
from enarx.verify.policy import AppraisalPolicy, Roots
from enarx.verify.result import AttestationResult

__all__ = ["AppraisalPolicy", "AttestationResult", "Roots", "appraise", "evaluate"]


def evaluate(
    kind: str,
    evidence: bytes,
    endorsements: tuple[bytes, ...],
    *,
    policy: AppraisalPolicy,
    roots: Roots,
    report_data: bytes,
    now: int,
) -> AttestationResult:
    """Verify and appraise; returns a result that is trusted, and nothing else.

    `report_data` is the fresh 64 bytes that the evidence must carry, `now` unix seconds. The policy selects the
    verifier: a kind that it does not accept is refused before its bytes are read. Raises AppraisalError with the result,
    VerificationError if the evidence is not authentic, ParseError, UnavailableError if it can not be decided.
    """
    if not policy.kind.accepts(kind):
        raise AppraisalError(
            "kind",
            f"evidence of kind {kind}, the policy accepts {policy.kind.text()}",
            result=AttestationResult.unread(kind),
        )
    if kind != "simulated":
        raise UsageError("kind-unknown", f"no verifier for evidence of kind {kind}")
    from enarx.verify.simulated import verify_simulated

    verified = verify_simulated(evidence, endorsements, roots=roots.simulated, now=now)
    result = appraise(verified, policy=policy, report_data=report_data)
    result.require_trusted()
    return result
