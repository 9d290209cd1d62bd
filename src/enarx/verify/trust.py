"""The trustworthiness vector of a result (draft-ietf-rats-ar4si, 2.3.4), by the table in docs/attestation/results.md.

Each rule of a policy speaks for one claim of the vector. A rule that decides its claim must be set and must leave nothing open:
otherwise the claim falls to a warning. A rule that fails contradicts its claim. Some claims of evidence lower the vector even if
the policy accepts them: the policy says what its owner accepts, the vector tells other parties what the machine is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import dropwhile
from typing import Any, NamedTuple

from enarx.verify.kinds import SIMULATED, find
from enarx.verify.policy import AnyOf, AtLeast, Bits, Exactly, Matcher
from enarx.verify.result import FAILED, PASSED, AttestationResult, Claims, Unknown

INSTANCE, CONFIGURATION, EXECUTABLES, HARDWARE, OPAQUE = (
    "instance-identity",
    "configuration",
    "executables",
    "hardware",
    "runtime-opaque",
)
"""The claims of the vector that are made here."""


class Values(NamedTuple):
    """The values of a claim of the vector: after a rule that passed, after a deciding rule that leaves it open, after a rule
    that failed.
    """

    passed: int
    left_open: int
    failed: int


LEFT_OPEN = -33
"""A warning that AR4SI has no number for: the policy leaves open what decides the claim."""

VALUES = {
    INSTANCE: Values(2, 0, 97),
    CONFIGURATION: Values(2, 36, 96),
    EXECUTABLES: Values(3, 33, 96),
    HARDWARE: Values(2, LEFT_OPEN, 96),
    OPAQUE: Values(2, LEFT_OPEN, 96),
}
"""0 is no claim: a policy that takes any machine recognizes none, and affirms the rest all the same."""

NO_CLAIM = 0
VULNERABLE = 32
"""Of configuration or hardware: with known vulnerabilities."""

NOT_ENCRYPTED = 32
"""Of runtime-opaque: closed to other guests, not to the machine's operator."""

NOT_RECOGNIZED = 97
VISIBLE = 96


class Says(NamedTuple):
    """The claim of the vector that a rule speaks for ("" is none), and whether the rule decides it."""

    claim: str
    decides: bool = False


def rules(claim: str, *ids: str, decide: bool = False) -> dict[str, Says]:
    """The checks of these ids, as rules that speak for one claim of the vector."""
    return dict.fromkeys(ids, Says(claim, decide))


class Fact(NamedTuple):
    """A claim of evidence that lowers a claim of the vector to a value, if `bad` says so."""

    name: str
    claim: str
    value: int
    bad: Callable[[Any], bool]


FACTS = (
    Fact("debug", OPAQUE, VISIBLE, bool),
    Fact("kind", HARDWARE, NOT_RECOGNIZED, lambda kind: kind == SIMULATED),
    Fact("kind", OPAQUE, VISIBLE, lambda kind: kind == SIMULATED),
)
"""Of every kind, whatever the policy accepts; worse than all those of a kind's own."""


class Trust(NamedTuple):
    """What a kind's appraisal says to other parties: the claim that each of its rules speaks for, and its own facts."""

    rules: Mapping[str, Says]
    facts: tuple[Fact, ...] = ()


COMMON = {
    **rules(HARDWARE, "kind", decide=True),
    **rules(EXECUTABLES, "measurement", decide=True),
    **rules(CONFIGURATION, "host-data"),
    **rules(OPAQUE, "debug", decide=True),
    **rules(EXECUTABLES, "svn"),
    **rules(INSTANCE, "chip-id", decide=True),
}
LOG = Says(EXECUTABLES)
"""The claim that the replay of a boot event log speaks for (`enarx.verify.replay`)."""

BOOT = frozenset((0, 2, 4, 8, 9, 11, 12, 13, 14))
"""The registers of a TPM that tell what runs: firmware and its drivers, boot loaders, the files that GRUB or systemd-stub load
(kernel, command line, initrd, extensions), and the keys that shim trusts (TCG PFP 3.3.4; UAPI, Linux TPM PCR Registry)."""


def vector(result: AttestationResult) -> dict[str, int]:
    """The trustworthiness claims of an appraisal, by name. Empty for evidence that was held against no policy, is not fresh, or
    has endorsements that have ended.
    """
    claims, policy = result.claims, result.policy
    if claims is None or policy is None:
        return {}
    table, facts = find(claims.kind).trust()
    found = dict(_despite(claims, facts))
    made = {id: outcome for id, outcome, *_ in dropwhile(lambda row: row[0] != "endorsements-current", result.rows)}
    if FAILED in (made.pop("endorsements-current"), made.pop("report-data")):
        return {}
    for id, outcome in made.items():
        claim, decides = table.get(id, LOG)
        if not claim:
            continue
        passed, left_open, failed = VALUES[claim]
        if outcome == FAILED:
            value = failed
        elif outcome == PASSED and not (decides and _leaves_open(id, getattr(policy, id.replace("-", "_")), claims)):
            value = passed
        elif decides:
            value = left_open
        else:
            continue
        found[claim] = max(found.get(claim, value), value, key=rank)
    return {claim: value for claim, value in found.items() if value != NO_CLAIM}


TIERS = ("affirming", "none", "warning", "contraindicated")
"""The best first."""


def rank(value: int) -> int:
    """The place in `TIERS` of a trustworthiness claim's value (AR4SI, 2.3.2)."""
    if -1 <= value <= 1:
        return 1
    least = value if value > 0 else -value - 1
    return 0 if least < 32 else 2 if least < 96 else 3


def _leaves_open(id: str, matcher: Matcher, claims: Claims) -> bool:
    """Does a rule that passed only exclude some values, or none?"""
    if id == "pcrs":
        return not registers_named(matcher, getattr(claims, id)) >= BOOT
    match matcher:
        case Exactly() | AnyOf():
            return False
        case AtLeast():
            return type(matcher.value) is tuple or matcher.accepts(_least(getattr(claims, id.replace("-", "_"))))
        case _:
            return any(type(one) is not bool and not (type(one) is Bits and one.mask) for one in matcher.values)


def _least(claim: Any) -> Any:
    """The least value that a claim with an order may have: a floor that takes it takes everything."""
    least: Callable[[], Any] | None = getattr(claim, "least", None)
    return type(claim)(0) if least is None else least()


def registers_named(matcher: Matcher, pcrs: tuple[str, ...]) -> set[int]:
    """The registers whose values a rule names, of those in the evidence that it accepted."""
    match matcher:
        case Exactly() | AnyOf():
            named = pcrs
        case _:
            named = matcher.values[0] if isinstance(matcher, AtLeast) else ()
    return {int(one.partition(":")[0]) for one in named}


def _despite(claims: Claims, facts: tuple[Fact, ...]) -> Iterator[tuple[str, int]]:
    """Those of these facts, and of `FACTS`, that this evidence has: claim of the vector and value. The worst come last."""
    for fact in (*facts, *FACTS):
        found = getattr(claims, fact.name, None)
        known = found is not None and type(found) is not Unknown
        if known and fact.bad(found):
            yield fact.claim, fact.value
