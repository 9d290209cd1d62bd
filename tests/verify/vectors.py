"""What every kind gives the tests of appraisal: good evidence, and for each of its claims evidence that claims something else.

Each kind has one piece of good evidence, and what it claims is written down by hand in `tests/verify/kinds/<kind>/rules.py`.
Everything else is that with something changed, and signed anew. Where a field stands, and what a bit means, is from the vendors'
tables and not from our parsers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from enarx.verify import Roots
from enarx.verify.matchers import Unchecked

NOW = 1_780_000_000
At = dict[int, bytes]
"""Bytes by their offset."""


class Given(NamedTuple):
    """Evidence with what it is verified with."""

    evidence: bytes
    endorsements: tuple[bytes, ...]
    roots: Roots


class Varies(NamedTuple):
    """A claim that evidence can have otherwise: what the good one says, what to forge for another value, and the rules that have
    to be left unchecked then, for they hang on the same bits (Vectors.together)."""

    said: Any
    changes: dict[str, Any]
    together: tuple[str, ...] = ()


class Fixed(NamedTuple):
    """A claim that all authentic evidence has alike; so the rule asks for another value."""

    said: Any
    other: Any
    why: str


Rows = dict[str, Varies | Fixed]


def le(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "little")


def be(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "big")


def over(data: bytes, at: At | None) -> bytes:
    """The data with other bytes at these offsets."""
    made = bytearray(data)
    for start, value in (at or {}).items():
        made[start : start + len(value)] = value
    assert len(made) == len(data)
    return bytes(made)


def at(offset: int, value: bytes, *together: str, said: Any = None, **more: Any) -> Varies:
    """A field of the report that the hardware signs; zeros in the good one by default."""
    return Varies(bytes(len(value)) if said is None else said, {"report": {offset: value}, **more}, together)


Ends = dict[str, int]
"""When the things of this name end that evidence is verified with (unix seconds)."""


class Vectors(NamedTuple):
    """The vectors of one kind.

    forge      makes its evidence: the good one, or with the changes of a row
    rows       every claim but the kind
    ends       when the first of the endorsements ends that the good evidence is verified with; None if none does
    together   why a rule is left unchecked where another is tried, by its name
    beginning  what the policy to begin with has a rule for, beside kind and measurement
    wide       which of these accept every value, and why
    unknown    claims that evidence may leave open: how to forge that, and what is left unchecked with it
    things     what ends that the evidence is verified with, by a name that results have for it
    policy_id  the name of the policy to begin with: a change is one of what `enarx policy init` makes people accept
    decisive   claims that say what runs: if a policy leaves one open, its result does not affirm
    vacuous    rules that pass and leave open what they decide
    enough     rules that are not exact, and say enough to affirm
    lowered    what a policy may accept and is a warning to others all the same: what to forge, the rules that accept it, and the
               trustworthiness claim with its value
    revoked    how to forge evidence of a revoked machine, and the check that refuses it; None if nothing is revoked
    """

    forge: Callable[..., Given]
    rows: Rows
    ends: int | None
    together: Mapping[str, str] = {}
    beginning: frozenset[str] = frozenset()
    wide: Mapping[str, str] = {}
    unknown: Mapping[str, tuple[dict[str, Any], tuple[str, ...]]] = {}
    things: tuple[str, ...] = ()
    policy_id: str = ""
    decisive: tuple[str, ...] = ()
    vacuous: Mapping[str, dict[str, Any]] = {}
    enough: tuple[dict[str, Any], ...] = ()
    lowered: Mapping[str, tuple[dict[str, Any], dict[str, Any], str, int]] = {}
    revoked: tuple[dict[str, Any], str] | None = None


LEFT = Unchecked(reason="nobody asked")
