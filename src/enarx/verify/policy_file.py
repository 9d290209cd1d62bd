"""A policy as a TOML file (docs/attestation.md, Policies): every field of the kind's policy, and no other, each with its rule.

kind = "snp"
measurement = "00ff..."                      exactly; bytes are hexadecimal
svn = { at_least = 3 }
vmpl = { any_of = [0, 1] }
advisories = { none_of = ["INTEL-SA-00837"] }
chip_id = { unchecked = "any machine of this provider" }
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from enarx.errors import UsageError
from enarx.formats import toml
from enarx.formats.checks import Path, nearest
from enarx.record import names
from enarx.verify.kinds import HARDWARE, KINDS, find
from enarx.verify.policy import (
    AnyOf,
    AppraisalPolicy,
    AtLeast,
    Bits,
    Exactly,
    Matcher,
    NoneOf,
    Unchecked,
)

MATCHERS = ("at_least", "any_of", "none_of", "unchecked")


def policy_type(kind: str) -> type[AppraisalPolicy]:
    """The policy of a kind; UsageError if there is none."""
    if kind not in KINDS:
        raise UsageError("policy-kind", f"policy: {ascii(kind)[:40]} is no kind", hint=f"one of {', '.join(KINDS)}")
    return find(kind).policy()


def template(kind: str) -> str:
    """A commented policy to begin with, which refuses everything until it has a measurement; UsageError if none is known."""
    text = find(kind).template() if kind in KINDS else ""
    if not text:
        raise UsageError(
            "policy-kind", f"no policy to begin with for {ascii(kind)[:40]}", hint=f"one of {', '.join(HARDWARE)}"
        )
    return text


def read_policy(text: str, source: str) -> AppraisalPolicy:
    """The policy that a TOML text says; UsageError with line and column for anything else. `source` is its name."""
    table, where = toml.loads(text, source)
    try:
        return _policy(table)
    except _Wrong as e:
        line, column = where(e.path)
        raise UsageError("policy-file", f"{source}:{line}:{column}: {e.said}", hint=e.hint) from None
    except UsageError as e:
        raise UsageError(e.code, f"{source}: {e.message}", hint=e.hint) from None


class _Wrong(Exception):
    def __init__(self, path: Path, said: str, hint: str = "") -> None:
        super().__init__(said)
        self.path, self.said, self.hint = path, said, hint


def _policy(table: dict[str, Any]) -> AppraisalPolicy:
    kind = table.get("kind")
    if not isinstance(kind, str):
        raise _Wrong(("kind",), "no kind of TEE as a text", f'kind = "..." with one of {", ".join(KINDS)}')
    if kind not in KINDS:
        raise _Wrong(("kind",), f"kind {ascii(kind)[:40]} is not known", nearest(kind, KINDS))
    made = policy_type(kind)
    fields = names(made)
    for key in table:
        if key not in fields:
            raise _Wrong((key,), f"unknown key {key!r}", nearest(key, fields))
    for field in fields:
        if field not in table:
            hint = f'{field} = {{ unchecked = "why" }} leaves it unchecked, on purpose'
            raise _Wrong((), f"no rule for {field}: nothing set is an error", hint)
    return made(**{field: _matcher(table[field], made._types[field], (field,)) for field in fields})


def _matcher(rule: object, kind: type, path: Path) -> Matcher:
    if not isinstance(rule, dict) or not rule.keys() & set(MATCHERS):
        return Exactly(_value(rule, kind, path))
    if len(rule) != 1:
        raise _Wrong(path, f"{path[0]} has more than one rule", f"one of {', '.join(MATCHERS)}")
    name, said = next(iter(rule.items()))
    path = (*path, name)
    if name == "unchecked":
        if not isinstance(said, str) or not said.strip():
            raise _Wrong(path, "leaving something unchecked needs a reason in words")
        return Unchecked(reason=said)
    if name == "at_least":
        return AtLeast(_value(said, kind, path))
    if not isinstance(said, list) or not said:
        raise _Wrong(path, f"{name} wants an array of at least one value")
    one = str if kind is tuple else kind
    values = tuple(_value(item, one, (*path, i)) for i, item in enumerate(said))
    return AnyOf(values) if name == "any_of" else NoneOf(values)


def _value(value: object, kind: type, path: Path) -> Any:
    if kind is bytes:
        return _hex(value, path)
    if kind is Bits:
        return Bits(_mask(value, path))
    if kind is tuple:
        if not isinstance(value, list):
            raise _Wrong(path, f"{path[0]} wants an array of texts")
        return tuple(_value(item, str, (*path, i)) for i, item in enumerate(value))
    read: Callable[[object], Any] | None = getattr(kind, "from_value", None)
    if read is not None:
        try:
            return read(value)
        except UsageError as e:
            raise _Wrong(path, e.message, e.hint) from None
    if type(value) is not kind:
        wanted = {bool: "true or false", int: "an integer", str: "a text"}[kind]
        raise _Wrong(path, f"{path[0]} is {ascii(value)[:60]}, wanted {wanted}")
    return value


def _hex(value: object, path: Path) -> bytes:
    try:
        if isinstance(value, str):
            return bytes.fromhex(value)
    except ValueError:
        pass  # said below, as for what is no text at all
    raise _Wrong(path, f"{path[0]} wants bytes as hexadecimal digits")


def _mask(value: object, path: Path) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise _Wrong(path, f"{path[0]} wants a mask of bits, as 0x3")
    return value
