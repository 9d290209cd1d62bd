"""What a relying party accepts. Every field is a matcher; none has a default that accepts, and none is None."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from enarx.errors import UsageError

SIMULATED = "simulated"


class Matcher(Protocol):
    """One rule about one value."""

    def accepts(self, value: Any) -> bool:
        """Is the value acceptable?"""

    def text(self) -> str:
        """The rule, for people."""


def show(value: object) -> str:
    """A value as results show it: bytes in hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, slots=True)
class Exactly:
    """This value and no other."""

    value: Any

    def accepts(self, value: Any) -> bool:
        """As Matcher. A boolean is no integer here."""
        return type(value) is type(self.value) and bool(value == self.value)

    def text(self) -> str:
        """As Matcher."""
        return show(self.value)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """This number or a higher one."""

    value: int

    def accepts(self, value: Any) -> bool:
        """As Matcher."""
        return type(value) is int and value >= self.value

    def text(self) -> str:
        """As Matcher."""
        return f"at least {self.value}"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these values; at least one must be given."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise UsageError("policy-empty", "a policy that accepts any of no values accepts nothing")

    def accepts(self, value: Any) -> bool:
        """As Matcher."""
        return any(Exactly(v).accepts(value) for v in self.values)

    def text(self) -> str:
        """As Matcher."""
        return "one of " + ", ".join(map(show, self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked:
    """Any value, on purpose; the reason is shown in every result."""

    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise UsageError("policy-reason", "skipping a check needs a reason in words")

    def accepts(self, value: Any) -> bool:
        """As Matcher."""
        return True

    def text(self) -> str:
        """As Matcher."""
        return f"anything ({self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValues:
    """What good Keeps measure: 48 bytes each, with a name for people."""

    measurements: tuple[tuple[str, bytes], ...]

    def matcher(self) -> AnyOf:
        """The policy's matcher for them."""
        return AnyOf(tuple(value for _, value in self.measurements))


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisalPolicy:
    """A policy for hardware: it can not be made to accept simulated evidence. For that there is `SimulatedPolicy`.

    kind         the kinds of TEE
    measurement  what the Keep measures (SHA-384, 48 bytes)
    host_data    what the launch was bound to (32 bytes; the package digest, or zeros in a pool)
    debug        whether the host may look inside: Exactly(False) for anything real
    svn          the security version of the platform
    chip_id      which machines
    """

    kind: Matcher
    measurement: Matcher
    host_data: Matcher
    debug: Matcher
    svn: Matcher
    chip_id: Matcher

    _accepts_simulated = False

    def __post_init__(self) -> None:
        for item in fields(self):
            if not callable(getattr(getattr(self, item.name), "accepts", None)):
                raise UsageError("policy-field", f"policy: {item.name} is no matcher; nothing set is an error")
        if isinstance(self.kind, Unchecked):
            raise UsageError("policy-kind", "policy: the kind of TEE can not be left unchecked")
        if self.kind.accepts(SIMULATED) != self._accepts_simulated:
            raise UsageError(
                "policy-simulated", "simulated evidence and hardware do not go into one policy",
                hint="SimulatedPolicy accepts simulated evidence, and nothing else does",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPolicy(AppraisalPolicy):
    """For trying things out: accepts simulated evidence and nothing else. It protects nothing from the host's owner."""

    kind: Matcher = field(default=Exactly(SIMULATED), init=False)
    _accepts_simulated = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Whom to believe, by kind. `simulated` are raw Ed25519 keys, given by the user; there is no pin for them."""

    simulated: tuple[bytes, ...] = ()


