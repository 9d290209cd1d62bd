"""The policy that `enarx policy init` writes: every claim of a kind with its meaning, advice and a suggested rule, as TOML."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from enarx.errors import UsageError
from enarx.verify.claims import Claim, declared
from enarx.verify.kinds import HARDWARE, KINDS, find
from enarx.verify.matchers import AnyOf, AtLeast, Exactly, Matcher, Unchecked
from enarx.verify.values import Bits

WIDTH = 100

HEADER = """\
# What a relying party accepts of {kind} evidence. Every claim has a rule, and nothing is accepted by default:
# a value, {{ at_least = value }}, {{ any_of = [...] }}, {{ none_of = [...] }} or {{ unchecked = "reason" }}.
"""


def template(kind: str) -> str:
    """A commented policy for a kind, which refuses everything until its author puts in a measurement.

    UsageError if the kind has no such policy.
    """
    claims = [claim for claim in declared(find(kind).claims()).values() if claim.suggest] if kind in KINDS else []
    if len(claims) <= 1:  # the kind itself always has a rule
        raise UsageError(
            "policy-kind", f"no policy to begin with for {ascii(kind)[:40]}", hint=f"one of {', '.join(HARDWARE)}"
        )
    return "\n".join((HEADER.format(kind=kind), *map(_paragraph, claims)))


def _paragraph(claim: Claim) -> str:
    assert claim.suggest is not None  # the caller has looked
    comments = [line for text in (claim.meaning, claim.advice) for line in _comment(text)]
    return "\n".join((*comments, rule_as_toml(claim.name, claim.suggest), ""))


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)


def rule_as_toml(name: str, matcher: Matcher) -> str:
    """The line or lines of a policy file that have this rule."""
    match matcher:
        case Exactly():
            return "\n".join(_assignments(name, matcher.value))
        case AtLeast() if hasattr(matcher.value, "to_toml"):
            return "\n".join(_assignments(f"{name}.at_least", matcher.value))
        case AtLeast():
            return f"{name} = {{ at_least = {_value(matcher.value)} }}"
        case Unchecked():
            return f"{name} = {{ unchecked = {_value(matcher.reason)} }}"
        case _:
            rule = "any_of" if isinstance(matcher, AnyOf) else "none_of"
            values = [_value(value) for value in matcher.values]
            line = f"{name} = {{ {rule} = [{', '.join(values)}] }}"
            if len(line) <= WIDTH:
                return line
            return "\n".join((f"{name} = {{ {rule} = [", *[f"  {value}," for value in values], "] }"))


def _assignments(key: str, value: Any) -> Iterator[str]:
    """One line for a value; for a table one for each of its keys."""
    if hasattr(value, "to_toml"):
        for name, item in value.to_toml().items():
            yield f"{key}.{name} = {_value(item)}"
    else:
        yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bytes):
        return f'"{value.hex()}"'
    if isinstance(value, Bits):
        return value.text()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join([f'{name} = {_value(item)}' for name, item in value.items()])} }}"
    if hasattr(value, "to_toml"):
        return _value(value.to_toml())
    return json.dumps(value)  # JSON writes booleans, integers and text as TOML does
