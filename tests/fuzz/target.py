"""What a fuzz target is, and the ways in which evidence and its endorsements become one.

A target takes any bytes and may end in an `EnarxError`, and in nothing else. `Target.seeds` are where mutation starts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from enarx.formats import endorsements
from enarx.verify import AttestationResult, Roots, attestation_result, examine
from enarx.verify.ear import ear
from enarx.verify.policy_file import read_policy, template
from tests.forge.intel import NOW

FRESH = bytes(64)


@dataclass(frozen=True)
class Target:
    """`run` takes any bytes."""

    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def judged(kind: str, roots: Roots, *given: bytes) -> Callable[[bytes], AttestationResult]:
    """The bytes are evidence, put through everything up to the result for others."""
    policy = read_policy(template(kind), kind)

    def run(data: bytes) -> AttestationResult:
        found = attestation_result(kind, data, given, policy=policy, roots=roots, report_data=FRESH, now=NOW)
        json.dumps(found.to_value())
        ear(found, build="fuzz")
        return found

    return run


def single(kind: str, roots: Roots, evidence: bytes, *given: bytes) -> Callable[[bytes], object]:
    """The bytes are one endorsement as it is."""
    return lambda data: examine(kind, evidence, (data, *given), roots=roots, now=NOW)


def endorsed(kind: str, roots: Roots, evidence: bytes, *given: bytes) -> Callable[[bytes], object]:
    """The bytes are a file of endorsements, and what is in it goes before those given."""

    def run(data: bytes) -> object:
        found = endorsements.read(data)
        return examine(kind, evidence, (*found.endorsements, *given), roots=roots, now=NOW)

    return run
