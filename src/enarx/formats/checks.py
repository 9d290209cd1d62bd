"""Reading values strictly: what is wrong is said with the path to it, and whoever reads knows where that is in its input."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Path = tuple[str | int, ...]
MAX_ITEMS = 1024


class Invalid(Exception):
    """Something at `path` is not as wanted; the caller knows where that is in its input."""

    def __init__(self, path: Path, message: str, *, code: str = "config-value", hint: str = "") -> None:
        super().__init__(message)
        self.path, self.message, self.code, self.hint = path, message, code, hint


def known_keys(table: object, path: Path, keys: Iterable[str]) -> None:
    """`table` is a table without any key but these."""
    if not isinstance(table, dict):
        raise Invalid(path, f"{dotted(path)} is {kind_of(table)}, wanted a table")
    for key in table:
        if key not in keys:
            raise Invalid((*path, key), f"unknown key {key!r}", code="config-unknown-key", hint=nearest(key, keys))


def nearest(key: str, keys: Iterable[str]) -> str:
    """A hint: the known word nearest to `key`, or all of them."""
    import difflib

    near = difflib.get_close_matches(key, list(keys), n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(keys))}"


def dotted(path: Path) -> str:
    """A path for people."""
    return ".".join(str(part) for part in path) or "the file"


def kind_of(value: object) -> str:
    """What a value is, in TOML's words."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "an array", dict: "a table"}
    return names.get(type(value), f"a {type(value).__name__}")


def each_of(table: dict[str, Any], path: Path, key: str, each: Callable[[Any, Path], Any]) -> tuple[Any, ...]:
    """The entries of an array, each read by `each`; empty where there is none."""
    value = table.get(key, [])
    if not isinstance(value, list):
        raise Invalid((*path, key), f"{key} is {kind_of(value)}, wanted an array")
    if len(value) > MAX_ITEMS:
        raise Invalid((*path, key), f"{key} has {len(value)} entries, at most {MAX_ITEMS}")
    return tuple(each(item, (*path, key, i)) for i, item in enumerate(value))


def text_of(value: object, path: Path) -> str:
    """A text without NUL."""
    if not isinstance(value, str):
        raise Invalid(path, f"{dotted(path)} is {kind_of(value)}, wanted a text", code="config-type")
    if "\0" in value:
        raise Invalid(path, f"{dotted(path)} has a NUL in it")
    return value


def whole(value: object, path: Path, low: int, high: int) -> int:
    """An integer between two bounds."""
    if type(value) is not int:
        raise Invalid(path, f"{dotted(path)} is {kind_of(value)}, wanted an integer", code="config-type")
    if not low <= value <= high:
        raise Invalid(path, f"{dotted(path)} is {value}, wanted {low} to {high}")
    return value


def unique(names: list[str], table: str, key: str) -> None:
    """No name stands twice."""
    for i, name in enumerate(names):
        if name in names[:i]:
            raise Invalid((table, i, key), f"{name!r} stands twice in {table}", code="config-duplicate")
