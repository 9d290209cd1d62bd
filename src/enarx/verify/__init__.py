"""The verifier: evidence, endorsements, policy and `now` in; a result with every check out. Pure: no I/O, no clock.

`policy` says what is acceptable, `roots` whom to believe, `result` what was found; `simulated` (and, for other kinds,
its siblings) shows that evidence is authentic; `appraise` holds it against a policy. `evaluate` does all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from enarx.errors import UsageError
from enarx.verify.appraise import appraise, require_usable, unappraised, unread, unverified
from enarx.verify.examination import Examination
from enarx.verify.policy import AppraisalPolicy
from enarx.verify.result import AUTHENTIC, AttestationResult, Endorsements
from enarx.verify.roots import Roots, TrustAnchor

__all__ = [
    "AppraisalPolicy",
    "AttestationResult",
    "Roots",
    "TrustAnchor",
    "appraise",
    "evaluate",
    "examine",
    "judge",
    "unappraised",
]


def evaluate(
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
    found = judge(kind, evidence, endorsements, policy=policy, roots=roots, report_data=report_data, now=now)
    found.require_trusted()
    return found


def judge(
    kind: str,
    evidence: bytes,
    endorsements: Endorsements,
    *,
    policy: AppraisalPolicy,
    roots: Roots,
    report_data: bytes,
    now: int,
) -> AttestationResult:
    """As `evaluate`, but what is not trusted is returned as well, to be shown: the caller still has to require it.

    ParseError if the bytes are not the format.
    """
    require_usable(policy, report_data)
    if not policy.kind.accepts(kind):
        return unread(kind, policy=policy, now=now)
    examination = examine(kind, evidence, endorsements, roots=roots, now=now)
    if examination.status != AUTHENTIC:
        return unverified(examination, policy=policy)
    return appraise(examination.verified(), policy=policy, report_data=report_data, now=now)


def examine(kind: str, evidence: bytes, endorsements: Endorsements, *, roots: Roots, now: int) -> Examination:
    """The checks of authenticity alone, of evidence that the caller takes to be of this kind.

    ParseError if the bytes are not the format, UsageError if there is no verifier for the kind.
    """
    return _examiner(kind)(evidence, endorsements=endorsements, roots=roots, now=now)


@cache
def _examiner(kind: str) -> Callable[..., Examination]:
    """The verifier of a kind; only what it needs is loaded."""
    match kind:
        case "simulated":
            from enarx.verify.simulated import examine_simulated

            return examine_simulated
        case "snp":
            from enarx.verify.snp import examine_snp

            return examine_snp
        case "sgx":
            from enarx.verify.dcap import examine_sgx

            return examine_sgx
        case "tdx":
            from enarx.verify.dcap import examine_tdx

            return examine_tdx
        case "nitro":
            from enarx.verify.nitro import examine_nitro

            return examine_nitro
        case "cca":
            from enarx.verify.cca import examine_cca

            return examine_cca
        case "az-snp-vtpm":
            from enarx.verify.azure import examine_az_snp

            return examine_az_snp
        case "az-tdx-vtpm":
            from enarx.verify.azure import examine_az_tdx

            return examine_az_tdx
        case "tpm":
            from enarx.verify.tpm import examine_tpm

            return examine_tpm
        case _:
            raise UsageError("kind-unknown", f"no verifier for evidence of kind {ascii(kind)[:40]}")
