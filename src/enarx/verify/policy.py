"""What a relying party accepts. Every field is a matcher; none has a default that accepts, and none is None."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from enarx.errors import UsageError
from enarx.record import names, record
from enarx.verify.kinds import KINDS, SIMULATED
from enarx.verify.result import SHOWN, plain, show

UNORDERED = (bool, bytes, str)
"""Types whose order, if they have one, says nothing about what is newer or safer."""


@record(kw_only=False)
class Exactly:
    """This value and no other."""

    value: Any

    @property
    def values(self) -> tuple[Any, ...]:
        """All values that it names."""
        return (self.value,)

    def accepts(self, value: object) -> bool:
        """Is the value acceptable? A value of another type is not: True is no 1."""
        return type(value) is type(self.value) and bool(value == self.value)

    def text(self) -> str:
        """The rule, for people."""
        return show(self.value)


@record(kw_only=False)
class AtLeast:
    """This number or a higher one; of versions with several parts, each part at least as high (their own `>=`); of a claim that
    is a set of things, at least these.
    """

    value: Any

    def __post_init__(self) -> None:
        if isinstance(self.value, UNORDERED) or self.value == () or not _ordered(self.value):
            raise UsageError("policy-order", f"policy: a {type(self.value).__name__} has no higher and lower")

    @property
    def values(self) -> tuple[Any, ...]:
        """As Exactly."""
        return (self.value,)

    def accepts(self, value: Any) -> bool:
        """As Exactly."""
        if type(value) is not type(self.value):
            return False
        return set(value) >= set(self.value) if type(value) is tuple else bool(value >= self.value)

    def text(self) -> str:
        """As Exactly."""
        return f"at least {show(self.value)}"


def _ordered(value: Any) -> bool:
    try:
        return bool(value >= value)
    except TypeError:
        return False


@record(kw_only=False)
class AnyOf:
    """One of these values; at least one must be given."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise UsageError("policy-empty", "policy: any of what? A tuple of at least one value is wanted")

    def accepts(self, value: object) -> bool:
        """As Exactly. Of a claim that is a set of things, such as advisories, each must be one of these."""
        if type(value) is tuple:
            return all(self.accepts(item) for item in value)
        return any(type(one) is type(value) and one == value for one in self.values)

    def text(self) -> str:
        """As Exactly."""
        return "one of " + ", ".join(map(show, self.values))


@record(kw_only=False)
class NoneOf:
    """Anything but these values: machines whose keys have leaked, products that are broken, advisories that matter."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise UsageError("policy-empty", "policy: none of what? A tuple of at least one value is wanted")

    def accepts(self, value: object) -> bool:
        """As Exactly. Of a claim that is a set of things, none may be one of these; of a mask, no bit may be in one of these."""
        if type(value) is tuple:
            return all(self.accepts(item) for item in value)
        if any(type(one) is not type(value) for one in self.values):
            return False
        if type(value) is Bits:
            return not any(value.mask & one.mask for one in self.values)
        return value not in self.values

    def text(self) -> str:
        """As Exactly."""
        return "none of " + ", ".join(map(show, self.values))


@record(kw_only=False)
class Bits:
    """A bit mask. For AtLeast: at least these bits; for NoneOf: none of these."""

    mask: int

    def __ge__(self, other: object) -> bool:
        return isinstance(other, Bits) and self.mask & other.mask == other.mask


SHOWN[Bits] = lambda bits: f"{bits.mask:#x}"


@record()
class Unchecked:
    """Any value, and even none, on purpose; the reason is shown in every result."""

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str) or not self.reason.strip():
            raise UsageError("policy-reason", "policy: leaving something unchecked needs a reason in words")

    @property
    def values(self) -> tuple[Any, ...]:
        """None are named."""
        return ()

    def accepts(self, value: object) -> bool:
        """As Exactly."""
        return True

    def text(self) -> str:
        """As Exactly."""
        return f"anything ({self.reason})"


Matcher: TypeAlias = Exactly | AtLeast | AnyOf | NoneOf | Unchecked
MATCHERS = (Exactly, AtLeast, AnyOf, NoneOf, Unchecked)


@record()
class ReferenceValues:
    """What good Keeps measure, each with a name for people, such as a release."""

    measurements: tuple[tuple[str, bytes], ...]

    def matcher(self) -> AnyOf:
        """The policy's matcher for them; UsageError if there are none."""
        return AnyOf(tuple(value for _, value in self.measurements))

    def name(self, measurement: bytes) -> str | None:
        """What a measurement is known as; None if it is not known."""
        return next((name for name, value in self.measurements if value == measurement), None)


class Rules(NamedTuple):
    """The fields of a policy, worked out once: for each the id of its check, what is wanted and where that stands.

    `claimed` gets the claims of these names, in order; `checked` are position and matcher of those that are not left unchecked.
    """

    ids: tuple[str, ...]
    wanted: tuple[str, ...]
    where: tuple[str, ...]
    claimed: Callable[[Any], tuple[Any, ...]]
    checked: tuple[tuple[int, Matcher], ...]


def _as_json(matcher: Matcher) -> dict[str, Any]:
    """A rule as a policy file has it, but that `exactly` is written out."""
    match matcher:
        case Unchecked():
            return {"unchecked": matcher.reason}
        case Exactly() | AtLeast():
            return {"exactly" if isinstance(matcher, Exactly) else "at_least": plain(matcher.value)}
        case _:
            return {"any_of" if isinstance(matcher, AnyOf) else "none_of": plain(matcher.values)}


@record()
class AppraisalPolicy:
    """A policy for hardware: it cannot be made to accept simulated evidence. For that there is `SimulatedPolicy`.

    Each field is the rule for the claim of its name (`enarx.verify.result.Claims` says what that is); a policy is for
    evidence with exactly these claims, so a kind that claims more has a policy of its own, a subclass with fields for
    them. UsageError if a field is no matcher, if it names values of another type than the claim's, if the kind is left
    unchecked or is no known one.
    """

    kind: Matcher
    measurement: Matcher
    host_data: Matcher
    debug: Matcher
    svn: Matcher
    chip_id: Matcher

    _types = {"kind": str, "measurement": bytes, "host_data": bytes, "debug": bool, "svn": int, "chip_id": bytes}
    _simulated = False
    _hints = dict[str, str]()
    """What usually causes a check to fail, by its id, where the kind knows better than `enarx.verify.appraise`."""
    __slots__ = ("_rules",)

    def __post_init__(self) -> None:
        for name in names(self):
            self._require_matcher(name, getattr(self, name))
        self._require_kinds()
        matchers = [getattr(self, name) for name in self._types]
        rules = Rules(
            ids=tuple(name.replace("_", "-") for name in self._types),
            wanted=tuple(matcher.text() for matcher in matchers),
            where=tuple(f"policy, {name}" for name in self._types),
            claimed=attrgetter(*self._types),
            checked=tuple((i, m) for i, m in enumerate(matchers) if type(m) is not Unchecked),
        )
        object.__setattr__(self, "_rules", rules)

    @property
    def rules(self) -> Rules:
        """Every field with its rule."""
        found: Rules = object.__getattribute__(self, "_rules")
        return found

    @property
    def id(self) -> str:
        """The policy's name (RFC 6920): SHA-256 over its rules as canonical JSON, kind and reasons included."""
        import json  # of all that uses policies few ask

        rules = {name: _as_json(getattr(self, name)) for name in self._types}
        text = json.dumps(rules, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).digest()
        return "ni:///sha-256;" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _require_matcher(self, name: str, matcher: object) -> None:
        if type(matcher) not in MATCHERS:
            raise UsageError(
                "policy-field",
                f"policy: {name} is no matcher; nothing set is an error",
                hint="one of Exactly, AtLeast, AnyOf, NoneOf, Unchecked",
            )
        wanted = self._types[name]
        assert isinstance(matcher, MATCHERS)  # just seen
        one = str if wanted is tuple and not isinstance(matcher, (Exactly, AtLeast)) else wanted
        wrong = [type(value).__name__ for value in matcher.values if type(value) is not one]
        if wrong:
            raise UsageError("policy-type", f"policy: {name} is {wanted.__name__}, the rule for it names {wrong[0]}")

    def _require_kinds(self) -> None:
        named = self.kind.values
        unknown = [kind for kind in named if kind not in KINDS]
        if not named or unknown:
            said = f"{unknown[0]!a} is not known" if unknown else "it cannot be left unchecked"
            raise UsageError("policy-kind", f"policy: the kind of TEE: {said}", hint=f"one of {', '.join(KINDS)}")
        if any(self.kind.accepts(kind) for kind in KINDS if (kind == SIMULATED) is not self._simulated):
            raise UsageError(
                "policy-simulated",
                "policy: simulated evidence and hardware do not go into one policy",
                hint="SimulatedPolicy accepts simulated evidence, and nothing else does",
            )


@record()
class SimulatedPolicy(AppraisalPolicy):
    """For trying things out: accepts simulated evidence and nothing else. It protects nothing from the host's owner."""

    kind: Matcher = Exactly(SIMULATED)
    _simulated = True
