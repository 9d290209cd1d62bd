"""Matchers: the five rules that a policy can have for a claim.

    Exactly(x)             this value
    AtLeast(x)             this value or a higher one; a set or a mask that includes this one
    AnyOf((x, y))          one of these values; a set of nothing else
    NoneOf((x, y))         any value but these; a set without them; a mask without these bits
    Unchecked(reason=...)  any value, and even an unknown one; every result shows the reason

A matcher accepts only values of the type that it names: True is not 1. A claim that is a set, such as the advisories that a
platform is open to, is a tuple.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from enarx.errors import UsageError
from enarx.record import record
from enarx.verify.values import Bits, show

UNORDERED = (bool, bytes, str)
"""Types without an order that means newer or safer."""


@record(kw_only=False)
class Exactly:
    """This value and no other."""

    value: Any

    @property
    def values(self) -> tuple[Any, ...]:
        """All values that the matcher names."""
        return (self.value,)

    def accepts(self, value: object) -> bool:
        """Whether the claim's value is acceptable."""
        return type(value) is type(self.value) and bool(value == self.value)

    def text(self) -> str:
        """The rule as text for people."""
        return show(self.value)


@record(kw_only=False)
class AtLeast:
    """This value or a higher one, by the type's own `>=`: of a version with parts, each part must be at least as high.

    A set must include this one. UsageError if the type has no order that means newer or safer.
    """

    value: Any

    def __post_init__(self) -> None:
        if isinstance(self.value, UNORDERED) or self.value == () or not _is_ordered(self.value):
            raise UsageError("policy-order", f"policy: a {type(self.value).__name__} has no higher and lower")

    @property
    def values(self) -> tuple[Any, ...]:
        """All values that the matcher names."""
        return (self.value,)

    def accepts(self, value: Any) -> bool:
        """Whether the claim's value is acceptable."""
        if type(value) is not type(self.value):
            return False
        return set(value) >= set(self.value) if type(value) is tuple else bool(value >= self.value)

    def text(self) -> str:
        """The rule as text for people."""
        return f"at least {show(self.value)}"


def _is_ordered(value: Any) -> bool:
    try:
        return bool(value >= value)
    except TypeError:
        return False


@record(kw_only=False)
class AnyOf:
    """One of these values. Each member of a set must be one of them. UsageError without a value."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise UsageError("policy-empty", "policy: any of no values, wanted a tuple of at least one")

    def accepts(self, value: object) -> bool:
        """Whether the claim's value is acceptable."""
        if type(value) is tuple:
            return all(self.accepts(item) for item in value)
        return any(type(own) is type(value) and own == value for own in self.values)

    def text(self) -> str:
        """The rule as text for people."""
        return "one of " + ", ".join(map(show, self.values))


@record(kw_only=False)
class NoneOf:
    """Any value but these, such as machines whose keys have leaked. UsageError without a value.

    No member of a set may be one of these values. A mask must have no bit in common with any of these.
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise UsageError("policy-empty", "policy: none of no values, wanted a tuple of at least one")

    def accepts(self, value: object) -> bool:
        """Whether the claim's value is acceptable."""
        if type(value) is tuple:
            return all(self.accepts(item) for item in value)
        if any(type(own) is not type(value) for own in self.values):
            return False
        if type(value) is Bits:
            return not any(value.mask & own.mask for own in self.values)
        return value not in self.values

    def text(self) -> str:
        """The rule as text for people."""
        return "none of " + ", ".join(map(show, self.values))


@record()
class Unchecked:
    """Any value, on purpose. UsageError without a reason."""

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str) or not self.reason.strip():
            raise UsageError("policy-reason", "policy: leaving a claim unchecked needs a reason in words")

    @property
    def values(self) -> tuple[Any, ...]:
        """The values that the matcher names: none."""
        return ()

    def accepts(self, value: object) -> bool:
        """Whether the claim's value is acceptable: always."""
        return True

    def text(self) -> str:
        """The rule as text for people."""
        return f"anything ({self.reason})"


Matcher: TypeAlias = Exactly | AtLeast | AnyOf | NoneOf | Unchecked
MATCHERS = (Exactly, AtLeast, AnyOf, NoneOf, Unchecked)
