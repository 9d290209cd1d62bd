"""Policies as TOML files (docs/attestation.md, Policies): every claim of the kind, and no other key, each with its rule.

    kind = "snp"
    measurement = "00ff..."                                      # this value; bytes are hexadecimal
    svn = { at_least = 3 }
    vmpl = { any_of = [0, 1] }
    advisories = { none_of = ["INTEL-SA-00837"] }
    chip_id = { unchecked = "any machine of this provider" }

Reading is strict: a missing claim, an unknown key or a value of another type is an error with its line and column.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from enarx.errors import UsageError
from enarx.formats import toml
from enarx.formats.checks import Path
from enarx.formats.tables import nearest
from enarx.formats.text import hex_bytes
from enarx.verify.kinds import KINDS, SIMULATED, find
from enarx.verify.matchers import AnyOf, AtLeast, Exactly, Matcher, NoneOf, Unchecked
from enarx.verify.policy import AppraisalPolicy, SimulatedPolicy, policy_for
from enarx.verify.policy_template import template
from enarx.verify.values import Bits

__all__ = ["policy_type", "read_policy", "template"]

RULES = ("at_least", "any_of", "none_of", "unchecked")
MAX_MASK = 1 << 64


@cache
def policy_type(kind: str) -> type[AppraisalPolicy]:
    """The policy class of a kind. UsageError if the kind is unknown."""
    if kind not in KINDS:
        raise UsageError(
            "policy-kind", f"policy: {ascii(kind)[:40]} is not a kind of TEE", hint=f"one of {', '.join(KINDS)}"
        )
    return SimulatedPolicy if kind == SIMULATED else policy_for(find(kind).claims())


def read_policy(text: str, source: str) -> AppraisalPolicy:
    """The policy in a TOML text. `source` is the file's name for errors: UsageError with line and column."""
    table, where = toml.loads(text, source)
    try:
        return _policy(table)
    except _Invalid as e:
        line, column = where(e.path)
        raise UsageError("policy-file", f"{source}:{line}:{column}: {e.message}", hint=e.hint) from None
    except UsageError as e:
        raise UsageError(e.code, f"{source}: {e.message}", hint=e.hint) from None


class _Invalid(Exception):
    """The value at `path` is not valid in a policy."""

    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.path, self.message, self.hint = path, message, hint


def _policy(table: dict[str, Any]) -> AppraisalPolicy:
    kind = table.get("kind")
    if not isinstance(kind, str):
        raise _Invalid(("kind",), "no kind of TEE as a text", f'kind = "..." with one of {", ".join(KINDS)}')
    if kind not in KINDS:
        raise _Invalid(("kind",), f"kind {ascii(kind)[:40]} is not known", nearest(kind, KINDS))
    policy = policy_type(kind)
    claims = policy.claims()
    for key in table:
        if key not in claims:
            raise _Invalid((key,), f"unknown key {key!r}", nearest(key, claims))
    for name in claims:
        if name not in table:
            hint = f'{name} = {{ unchecked = "why" }} leaves it unchecked, on purpose'
            raise _Invalid((), f"no rule for {name}: nothing set is an error", hint)
    return policy(**{name: _matcher(table[name], claim.value_type, (name,)) for name, claim in claims.items()})


def _matcher(rule: object, value_type: type, path: Path) -> Matcher:
    if not isinstance(rule, dict) or not rule.keys() & set(RULES):
        return Exactly(_value(rule, value_type, path))
    if len(rule) != 1:
        raise _Invalid(path, f"{path[0]} has more than one rule", f"one of {', '.join(RULES)}")
    name, argument = next(iter(rule.items()))
    path = (*path, name)
    if name == "unchecked":
        if not isinstance(argument, str) or not argument.strip():
            raise _Invalid(path, "leaving a claim unchecked needs a reason in words")
        return Unchecked(reason=argument)
    if name == "at_least":
        return AtLeast(_value(argument, value_type, path))
    if not isinstance(argument, list) or not argument:
        raise _Invalid(path, f"{name} wants an array of at least one value")
    member_type = str if value_type is tuple else value_type
    values = tuple(_value(item, member_type, (*path, i)) for i, item in enumerate(argument))
    return AnyOf(values) if name == "any_of" else NoneOf(values)


def _value(value: object, value_type: type, path: Path) -> Any:
    """A value of the claim's type. A type with a method `from_toml` parses its own values."""
    if value_type is bytes:
        return _bytes(value, path)
    if value_type is Bits:
        return _bits(value, path)
    if value_type is tuple:
        if not isinstance(value, list):
            raise _Invalid(path, f"{path[0]} wants an array of texts")
        return tuple(_value(item, str, (*path, i)) for i, item in enumerate(value))
    from_toml: Callable[[object], Any] | None = getattr(value_type, "from_toml", None)
    if from_toml is not None:
        try:
            return from_toml(value)
        except UsageError as e:
            raise _Invalid(path, e.message, e.hint) from None
    if type(value) is not value_type:
        wanted = {bool: "true or false", int: "an integer", str: "a text"}[value_type]
        raise _Invalid(path, f"{path[0]} is {ascii(value)[:60]}, wanted {wanted}")
    return value


def _bytes(value: object, path: Path) -> bytes:
    try:
        if isinstance(value, str):
            return hex_bytes(value)
    except ValueError:
        pass  # reported below, like a value that is not text
    raise _Invalid(path, f"{path[0]} wants bytes as hexadecimal digits")


def _bits(value: object, path: Path) -> Bits:
    if type(value) is not int or not 0 <= value < MAX_MASK:
        raise _Invalid(path, f"{path[0]} wants a mask of bits, as 0x3")
    return Bits(value)
