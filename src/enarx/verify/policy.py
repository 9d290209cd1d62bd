"""Appraisal policies: a rule for every claim of a kind. Nothing is accepted by default.

A policy has one field for each claim, and each field is a matcher: no field has a default that accepts, and none may be None.
`policy_for` makes the class for a kind from the declarations of its claims; `policy_file` reads policies from files.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from enarx.errors import UsageError
from enarx.record import names, record
from enarx.verify.claims import Claim, Claims, declared
from enarx.verify.kinds import KINDS, SIMULATED
from enarx.verify.matchers import MATCHERS, AnyOf, AtLeast, Exactly, Matcher, NoneOf, Unchecked
from enarx.verify.values import Bits, plain

__all__ = [
    "AnyOf",
    "AppraisalPolicy",
    "AtLeast",
    "Bits",
    "Exactly",
    "Matcher",
    "NoneOf",
    "ReferenceValues",
    "Rule",
    "SimulatedPolicy",
    "Unchecked",
    "policy_for",
]


@record()
class ReferenceValues:
    """Known good measurements, each with a name for people, such as a release."""

    measurements: tuple[tuple[str, bytes], ...]

    def matcher(self) -> AnyOf:
        """The policy's rule for the measurement. UsageError if there are no reference values."""
        return AnyOf(tuple(value for _, value in self.measurements))

    def name(self, measurement: bytes) -> str | None:
        """The name of a measurement; None if it is not among the reference values."""
        return next((name for name, value in self.measurements if value == measurement), None)


class Rule(NamedTuple):
    """One field of a policy, prepared for appraisal: everything that its check shows but the claim itself.

    id       of the check: the field's name with hyphens
    name     of the field, and of the claim that it is about
    wanted   the matcher as text
    where    where the rule is written down
    hint     the usual cause of a failure
    """

    id: str
    name: str
    matcher: Matcher
    wanted: str
    where: str
    hint: str


@record()
class AppraisalPolicy:
    """A policy for hardware. It cannot be made to accept simulated evidence; `SimulatedPolicy` does.

    Each field is the rule for the claim of its name. A policy is for evidence with exactly its claims, so a kind with further
    claims has a subclass with further fields (`policy_for`).

    UsageError if a field is not a matcher, if a matcher names values of another type than the claim's, or if the rule for the
    kind leaves it unchecked or names an unknown kind.
    """

    kind: Matcher
    measurement: Matcher
    host_data: Matcher
    debug: Matcher
    svn: Matcher
    chip_id: Matcher

    _claims = Claims
    _simulated = False
    __slots__ = ("_rules",)

    def __post_init__(self) -> None:
        claims = self.claims()
        for name in names(self):
            _require_matcher(claims[name], getattr(self, name))
        self._require_kinds()
        object.__setattr__(self, "_rules", tuple([_rule(claim, getattr(self, name)) for name, claim in claims.items()]))

    @classmethod
    def claims(cls) -> Mapping[str, Claim]:
        """The claims that have a rule in policies of this class, by name: all but the report data."""
        return {name: claim for name, claim in declared(cls._claims).items() if name != "report_data"}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every field with its rule, in the order of the claims."""
        rules: tuple[Rule, ...] = object.__getattribute__(self, "_rules")
        return rules

    @property
    def id(self) -> str:
        """The policy's name (RFC 6920): SHA-256 over its rules as canonical JSON, kind and reasons included."""
        import json  # most users of policies never ask for their names

        rules = {rule.name: _as_json(rule.matcher) for rule in self.rules}
        text = json.dumps(rules, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).digest()
        return "ni:///sha-256;" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _require_kinds(self) -> None:
        named = self.kind.values
        unknown = [kind for kind in named if kind not in KINDS]
        if not named or unknown:
            problem = f"{unknown[0]!a} is not known" if unknown else "it cannot be left unchecked"
            raise UsageError("policy-kind", f"policy: the kind of TEE: {problem}", hint=f"one of {', '.join(KINDS)}")
        if any(self.kind.accepts(kind) for kind in KINDS if (kind == SIMULATED) is not self._simulated):
            raise UsageError(
                "policy-simulated",
                "policy: simulated evidence and hardware do not go into one policy",
                hint="SimulatedPolicy accepts simulated evidence, and nothing else does",
            )


@record()
class SimulatedPolicy(AppraisalPolicy):
    """For tests and demonstrations: accepts simulated evidence and no other, which protects nothing from the host."""

    kind: Matcher = Exactly(SIMULATED)
    _simulated = True


def policy_for(claims: type[Claims]) -> type[AppraisalPolicy]:
    """Make the policy class for a kind of hardware: the fields of AppraisalPolicy, and one for each further claim.

    `policy_file.policy_type` has the class of each kind.
    """
    further = [name for name in declared(claims) if name not in names(Claims)]
    body: dict[str, Any] = {
        "__doc__": f"The policy for the claims of {claims.__name__}.",
        "__module__": claims.__module__,
        "__annotations__": dict.fromkeys(further, "Matcher"),
        "_claims": claims,
    }
    return record()(type(f"{claims.__name__.removesuffix('Claims')}Policy", (AppraisalPolicy,), body))


def _require_matcher(claim: Claim, matcher: object) -> None:
    if type(matcher) not in MATCHERS:
        raise UsageError(
            "policy-field",
            f"policy: {claim.name} is not a matcher; nothing set is an error",
            hint="one of Exactly, AtLeast, AnyOf, NoneOf, Unchecked",
        )
    assert isinstance(matcher, MATCHERS)  # checked above
    # AnyOf and NoneOf name the members of a set, Exactly and AtLeast name sets.
    wanted = str if claim.value_type is tuple and not isinstance(matcher, (Exactly, AtLeast)) else claim.value_type
    wrong = [type(value).__name__ for value in matcher.values if type(value) is not wanted]
    if wrong:
        message = f"policy: {claim.name} is {claim.value_type.__name__}, the rule for it names {wrong[0]}"
        raise UsageError("policy-type", message)


def _rule(claim: Claim, matcher: Matcher) -> Rule:
    return Rule(
        id=claim.check_id,
        name=claim.name,
        matcher=matcher,
        wanted=matcher.text(),
        where=f"policy, {claim.name}",
        hint=claim.hint,
    )


def _as_json(matcher: Matcher) -> dict[str, Any]:
    """A rule as in a policy file, with `exactly` written out."""
    match matcher:
        case Unchecked():
            return {"unchecked": matcher.reason}
        case Exactly() | AtLeast():
            return {"exactly" if isinstance(matcher, Exactly) else "at_least": plain(matcher.value)}
        case _:
            return {"any_of" if isinstance(matcher, AnyOf) else "none_of": plain(matcher.values)}
