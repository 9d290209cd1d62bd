"""What a relying party accepts. Every field is a matcher; none has a default that accepts, and none is None."""

from __future__ import annotations

from typing import Any, Protocol

from enarx.errors import UsageError
from enarx.record import record

SIMULATED = "simulated"
FIELDS = ("kind", "measurement", "host_data", "debug", "svn", "chip_id")


class Matcher(Protocol):
    """One rule about one value."""

    def accepts(self, value: Any) -> bool:
        """Is the value acceptable?"""

    def text(self) -> str:
        """The rule, for people."""


def show(value: object) -> str:
    """A value as results show it: bytes in hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)


@record(kw_only=False)
class Exactly:
    """This value and no other."""

    value: Any

    def accepts(self, value: Any) -> bool:
        """As Matcher. A boolean is no integer here."""
        return type(value) is type(self.value) and bool(value == self.value)

    def text(self) -> str:
        """As Matcher."""
        return show(self.value)


@record(kw_only=False)
class AtLeast:
    """This number or a higher one."""

    value: int

    def accepts(self, value: Any) -> bool:
        """As Matcher."""
        return type(value) is int and value >= self.value

    def text(self) -> str:
        """As Matcher."""
        return f"at least {self.value}"


@record(kw_only=False)
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


@record()
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


@record()
class ReferenceValues:
    """What good Keeps measure: 48 bytes each, with a name for people."""

    measurements: tuple[tuple[str, bytes], ...]

    def matcher(self) -> AnyOf:
        """The policy's matcher for them."""
        return AnyOf(tuple(value for _, value in self.measurements))


@record()
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
        for name in FIELDS:
            if not callable(getattr(getattr(self, name), "accepts", None)):
                raise UsageError("policy-field", f"policy: {name} is no matcher; nothing set is an error")
        if isinstance(self.kind, Unchecked):
            raise UsageError("policy-kind", "policy: the kind of TEE can not be left unchecked")
        if self.kind.accepts(SIMULATED) != self._accepts_simulated:
            raise UsageError(
                "policy-simulated",
                "simulated evidence and hardware do not go into one policy",
                hint="SimulatedPolicy accepts simulated evidence, and nothing else does",
            )


@record()
class SimulatedPolicy(AppraisalPolicy):
    """For trying things out: accepts simulated evidence and nothing else. It protects nothing from the host's owner."""

    kind: Matcher = Exactly(SIMULATED)
    _accepts_simulated = True


@record()
class Roots:
    """Whom to believe, by kind. `simulated` are raw Ed25519 keys, given by the user; there is no pin for them."""

    simulated: tuple[bytes, ...] = ()
