"""Reading values strictly: what is wrong is said with the path to it, and whoever reads knows where that is in its input."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Path = tuple[str | int, ...]
MAX_ITEMS = 1024
MAX_WORD = 64
"""Characters of an unknown word that its likeness to known ones is judged by."""


class Invalid(Exception):
    """Something at `path` is not as wanted; the caller knows where that is in its input.

    `near` is a word that was not known, and those that are: only whoever asks for the hint looks for the nearest.
    """

    def __init__(
        self,
        path: Path,
        message: str,
        *,
        code: str = "config-value",
        hint: str = "",
        near: tuple[str, Iterable[str]] | None = None,
    ) -> None:
        super().__init__(message)
        self.path, self.message, self.code = path, message, code
        self._hint, self._near = hint, near

    @property
    def hint(self) -> str:
        """What to do about it; may be empty."""
        return nearest(self._near[0][:MAX_WORD], self._near[1]) if self._near else self._hint


def known_keys(table: object, path: Path, keys: Iterable[str]) -> None:
    """`table` is a table without any key but these."""
    if not isinstance(table, dict):
        raise Invalid(path, f"{dotted(path)} is {kind_of(table)}, wanted a table", code="config-type")
    for key in table:
        if key not in keys:
            raise Invalid((*path, key), f"unknown key {key!r}", code="config-unknown-key", near=(str(key), keys))


def needs(table: dict[str, Any], path: Path, what: str, *keys: str) -> None:
    """`table`, which is `what`, has all of these keys."""
    for key in keys:
        if key not in table:
            raise Invalid(path, f"{what} without {key}", code="config-missing")


def nearest(key: str, keys: Iterable[str]) -> str:
    """A hint: the known word nearest to `key`, or all of them."""
    import difflib

    near = difflib.get_close_matches(key, list(keys), n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(keys))}"


def dotted(path: Path) -> str:
    """A path for people."""
    return ".".join(text if (text := str(part)).isprintable() else repr(text) for part in path) or "the file"


def kind_of(value: object) -> str:
    """What a value is, in TOML's words."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "an array", dict: "a table"}
    return names.get(type(value), f"a {type(value).__name__}")


def each_of(table: dict[str, Any], path: Path, key: str, each: Callable[[Any, Path], Any]) -> tuple[Any, ...]:
    """The entries of an array, each read by `each`; empty where there is none."""
    value = table.get(key, [])
    if not isinstance(value, list):
        raise Invalid((*path, key), f"{key} is {kind_of(value)}, wanted an array", code="config-type")
    limited(value, (*path, key))
    return tuple(each(item, (*path, key, i)) for i, item in enumerate(value))


def limited(value: list[Any] | dict[str, Any], path: Path) -> None:
    """No more than MAX_ITEMS entries."""
    if len(value) > MAX_ITEMS:
        raise Invalid(path, f"{dotted(path)} has {len(value)} entries, at most {MAX_ITEMS}")


def text_of(value: object, path: Path, *, empty: bool = True) -> str:
    """A text without NUL that UTF-8 has a form for: what bytes of a command line become need not have one."""
    if not isinstance(value, str):
        raise Invalid(path, f"{dotted(path)} is {kind_of(value)}, wanted a text", code="config-type")
    if "\0" in value:
        raise Invalid(path, f"{dotted(path)} has a NUL in it")
    if not value and not empty:
        raise Invalid(path, f"{dotted(path)} is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Invalid(path, f"{dotted(path)} is not UTF-8") from None
    return value


def one_of(value: object, path: Path, wanted: tuple[str, ...]) -> str:
    """One of some words."""
    if not isinstance(value, str):
        said = f"{dotted(path)} is {kind_of(value)}, wanted {' or '.join(wanted)}"
        raise Invalid(path, said, code="config-type")
    if value not in wanted:
        raise Invalid(path, f"{path[-1]} is {value!r}, wanted {' or '.join(wanted)}", near=(value, wanted))
    return value


def whole(value: object, path: Path, low: int, high: int) -> int:
    """An integer between two bounds."""
    if type(value) is not int:
        raise Invalid(path, f"{dotted(path)} is {kind_of(value)}, wanted an integer", code="config-type")
    if not low <= value <= high:
        got = value if value.bit_length() <= 64 else "of more than 64 bits"
        raise Invalid(path, f"{dotted(path)} is {got}, wanted {low} to {high}")
    return value


def unique(names: list[str], table: str, key: str) -> None:
    """No name stands twice."""
    taken: set[str] = set()
    for i, name in enumerate(names):
        if name in taken:
            raise Invalid((table, i, key), f"{name!r} stands twice in {table}", code="config-duplicate")
        taken.add(name)


def same(value: Any, wanted: Any) -> bool:
    """Equal in types too: to Python, True is 1."""
    if type(value) is not type(wanted) or value != wanted:
        return False
    if isinstance(wanted, dict):
        return all(same(value[key], wanted[key]) for key in wanted)
    return all(map(same, value, wanted)) if isinstance(wanted, list) else True
