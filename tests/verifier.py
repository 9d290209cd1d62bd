"""The verifier of simulated evidence that tests and benchmarks share."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

from enarx.tenant.deploy import ReceivedEvidence
from enarx.verify import AttestationResult, Roots, verify_and_appraise
from enarx.verify.policy import AnyOf, Exactly, SimulatedPolicy, Unchecked


@cache
def measured() -> bytes:
    """What this installation's Keep measures."""
    from enarx.api.acceptance import own_measurement

    return own_measurement()


def verifier(measurement: bytes, package: bytes, root: bytes) -> Callable[[ReceivedEvidence], AttestationResult]:
    """Verifies simulated evidence: of this measurement, launched for this package or for none, under this root."""
    policy = SimulatedPolicy(
        measurement=Exactly(measurement),
        host_data=AnyOf((package, bytes(32))),
        debug=Exactly(False),
        svn=Unchecked(reason="a test"),
        chip_id=Unchecked(reason="a test"),
    )

    def verify(received: ReceivedEvidence) -> AttestationResult:
        return verify_and_appraise(
            received.kind,
            received.evidence,
            received.endorsements,
            policy=policy,
            roots=Roots(simulated=(root,)),
            report_data=received.report_data,
            now=int(time.time()),
        )

    return verify
