"""The trustworthiness vector of a result (draft-ietf-rats-ar4si, 2.3.4): what the verifier tells other parties.

A policy says what its owner accepts. The vector describes the machine to parties that do not know the policy:

* Each rule of a policy supports one trustworthiness claim, or none, as the declaration of its claim says.
* A rule that decides a trustworthiness claim must name good values. If it leaves the value open, the result does not affirm:
  the trustworthiness claim becomes a warning.
* A rule that fails contradicts its trustworthiness claim.
* Some claims of the evidence lower the vector even if the policy accepts them, such as a debug mode (`Lowers`).

docs/attestation/results.md has the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import dropwhile
from typing import Any, NamedTuple

from enarx.verify.claims import CONFIGURATION, EXECUTABLES, HARDWARE, INSTANCE, OPAQUE, Claims, declared
from enarx.verify.matchers import AnyOf, AtLeast, Exactly, Matcher
from enarx.verify.policy import AppraisalPolicy
from enarx.verify.result import FAILED, PASSED, AttestationResult
from enarx.verify.values import Bits, Unknown


class Values(NamedTuple):
    """The three values that a trustworthiness claim can get from a rule.

    passed     the rule passed
    left_open  the rule decides the claim, but leaves the value open
    failed     the rule failed
    """

    passed: int
    left_open: int
    failed: int


LEFT_OPEN = -33
"""A warning for which AR4SI has no number: the policy leaves open what decides the trustworthiness claim."""

NO_CLAIM = 0
"""The value of a trustworthiness claim that is not made."""

VALUES = {
    INSTANCE: Values(2, NO_CLAIM, 97),
    CONFIGURATION: Values(2, 36, 96),
    EXECUTABLES: Values(3, 33, 96),
    HARDWARE: Values(2, LEFT_OPEN, 96),
    OPAQUE: Values(2, LEFT_OPEN, 96),
}
"""The values by trustworthiness claim. A policy that accepts any machine makes no claim about the instance, but may affirm the
others."""

EVENT_LOG = EXECUTABLES
"""The trustworthiness claim that the replay of a boot event log supports (`enarx.verify.replay`)."""

BOOT = frozenset((0, 2, 4, 8, 9, 11, 12, 13, 14))
"""The TPM registers that say what runs: firmware and its drivers, boot loaders, the files that GRUB or systemd-stub load (kernel,
command line, initrd, extensions), and the keys that shim trusts (TCG PFP 3.3.4; UAPI, Linux TPM PCR Registry)."""


def vector(result: AttestationResult) -> dict[str, int]:
    """The trustworthiness claims of a result, by name.

    Empty if the evidence was not appraised against a policy, is not fresh, or has endorsements that have ended.
    """
    claims, policy = result.claims, result.policy
    if claims is None or policy is None:
        return {}
    appraisal = dropwhile(lambda check: check.id != "endorsements-current", result.checks)
    outcomes = {check.id: check.outcome for check in appraisal}
    if FAILED in (outcomes.pop("endorsements-current"), outcomes.pop("report-data")):
        return {}
    values: dict[str, int] = {}
    for trustworthiness_claim, value in (*_lowered(claims), *_supported(outcomes, claims, policy)):
        values[trustworthiness_claim] = max(values.get(trustworthiness_claim, value), value, key=rank)
    return {name: value for name, value in values.items() if value != NO_CLAIM}


def _lowered(claims: Claims) -> Iterator[tuple[str, int]]:
    """The trustworthiness claims that claims of the evidence lower, whatever the policy accepts, with their values."""
    for name, declaration in declared(type(claims)).items():
        value = getattr(claims, name)
        for lowers in declaration.lowers:
            if type(value) is not Unknown and lowers.when(value):
                yield lowers.trustworthiness_claim, lowers.value


def _supported(outcomes: dict[str, str], claims: Claims, policy: AppraisalPolicy) -> Iterator[tuple[str, int]]:
    """The trustworthiness claim that each check of appraisal supports, with the value that the check gives it."""
    declarations = {claim.check_id: claim for claim in declared(type(claims)).values()}
    for check_id, outcome in outcomes.items():
        claim = declarations.get(check_id)
        supports = EVENT_LOG if claim is None else claim.trustworthiness_claim
        if not supports:
            continue
        decides = claim is not None and claim.decides
        left_open = claim is not None and decides and _leaves_open(claim.name, claims, policy)
        values = VALUES[supports]
        if outcome == FAILED:
            yield supports, values.failed
        elif outcome == PASSED and not left_open:
            yield supports, values.passed
        elif decides:
            yield supports, values.left_open


TIERS = ("affirming", "none", "warning", "contraindicated")
"""The tiers of AR4SI, the best first."""


def rank(value: int) -> int:
    """The index in `TIERS` of a trustworthiness claim's value (AR4SI, 2.3.2)."""
    if -1 <= value <= 1:
        return 1
    least = value if value > 0 else -value - 1
    return 0 if least < 32 else 2 if least < 96 else 3


def _leaves_open(name: str, claims: Claims, policy: AppraisalPolicy) -> bool:
    """Whether a rule names no good values: it accepts every value, or all but some."""
    matcher: Matcher = getattr(policy, name)
    claim = getattr(claims, name)
    if name == "pcrs":
        return not registers_named(matcher, claim) >= BOOT
    match matcher:
        case Exactly() | AnyOf():
            return False
        case AtLeast():
            return type(matcher.value) is tuple or matcher.accepts(_least(claim))
        case _:  # NoneOf names good values only for booleans and masks, Unchecked never
            return any(type(value) is not bool and not (type(value) is Bits and value.mask) for value in matcher.values)


def _least(claim: Any) -> Any:
    """The least value of an ordered type: a floor that accepts it accepts every value."""
    least: Callable[[], Any] | None = getattr(claim, "least", None)
    return type(claim)(0) if least is None else least()


def registers_named(matcher: Matcher, pcrs: tuple[str, ...]) -> set[int]:
    """The indexes of the registers whose values a rule names, out of those in evidence that it accepted."""
    match matcher:
        case Exactly() | AnyOf():
            named = pcrs
        case AtLeast():
            named = matcher.value
        case _:
            named = ()
    return {int(register.partition(":")[0]) for register in named}
