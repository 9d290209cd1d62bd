"""Strict reading of the tables that people write, on top of `enarx.formats.checks`. A Keep does not contain this module."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from enarx.formats.checks import Invalid, Path, dotted, kind_of, limited

MAX_WORD = 64
"""Characters of an unknown word that are compared with known words."""


def known_keys(table: object, path: Path, keys: Iterable[str]) -> None:
    """Require a table that has no keys except `keys`."""
    if not isinstance(table, dict):
        raise Invalid(path, f"{dotted(path)} is {kind_of(table)}, wanted a table", code="config-type")
    for key in table:
        if key not in keys:
            raise Invalid((*path, key), f"unknown key {key!r}", code="config-unknown-key", near=(str(key), keys))


def needs(table: dict[str, Any], path: Path, what: str, *keys: str) -> None:
    """Require all of `keys` in `table`; `what` names the table in the error."""
    for key in keys:
        if key not in table:
            raise Invalid(path, f"{what} without {key}", code="config-missing")


def each_of(table: dict[str, Any], path: Path, key: str, each: Callable[[Any, Path], Any]) -> tuple[Any, ...]:
    """The entries of the array `table[key]`, each converted by `each`; empty if the key is missing."""
    value = table.get(key, [])
    if not isinstance(value, list):
        raise Invalid((*path, key), f"{key} is {kind_of(value)}, wanted an array", code="config-type")
    limited(value, (*path, key))
    return tuple(each(item, (*path, key, i)) for i, item in enumerate(value))


def nearest(key: str, keys: Iterable[str]) -> str:
    """A hint with the known word nearest to `key`, or else with all known words."""
    import difflib

    near = difflib.get_close_matches(key[:MAX_WORD], list(keys), n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(keys))}"
