"""Strict checks of decoded values. Each raises Invalid with the path to the wrong value.

The caller knows its input and turns a path into a place: line and column of a TOML file, or a key of a JSON document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any

Path = tuple[str | int, ...]
MAX_ITEMS = 1024


class Invalid(Exception):
    """The value at `path` is wrong.

    `near` is an unknown word with the known ones. The nearest is looked for only when the hint is read, since a Keep
    refuses without a hint.
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
        """The next action; may be empty."""
        if self._near is None:
            return self._hint
        from enarx.formats.tables import nearest

        return nearest(*self._near)


def dotted(path: Path) -> str:
    """A path as text, such as `files.0.name`; the empty path is the file."""
    return ".".join(text if (text := str(part)).isprintable() else repr(text) for part in path) or "the file"


def kind_of(value: object) -> str:
    """The type of a value in TOML's terms, with an article."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "an array", dict: "a table"}
    return names.get(type(value), f"a {type(value).__name__}")


def limited(value: Sized, path: Path) -> None:
    """Require at most MAX_ITEMS entries."""
    if len(value) > MAX_ITEMS:
        raise Invalid(path, f"{dotted(path)} has {len(value)} entries, at most {MAX_ITEMS}")


def text_of(value: object, path: Path, *, empty: bool = True) -> str:
    """A text without NUL that can be encoded as UTF-8; arguments of a command line may contain surrogates."""
    if not isinstance(value, str):
        raise Invalid(path, f"{dotted(path)} is {kind_of(value)}, wanted a text", code="config-type")
    if "\0" in value:
        raise Invalid(path, f"{dotted(path)} contains NUL")
    if not value and not empty:
        raise Invalid(path, f"{dotted(path)} is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Invalid(path, f"{dotted(path)} is not UTF-8") from None
    return value


def one_of(value: object, path: Path, wanted: tuple[str, ...]) -> str:
    """A text that is one of the `wanted` words."""
    if not isinstance(value, str):
        message = f"{dotted(path)} is {kind_of(value)}, wanted {' or '.join(wanted)}"
        raise Invalid(path, message, code="config-type")
    if value not in wanted:
        raise Invalid(path, f"{path[-1]} is {value!r}, wanted {' or '.join(wanted)}", near=(value, wanted))
    return value


def whole(value: object, path: Path, low: int, high: int) -> int:
    """An integer from `low` to `high`, both included."""
    if type(value) is not int:
        raise Invalid(path, f"{dotted(path)} is {kind_of(value)}, wanted an integer", code="config-type")
    if not low <= value <= high:
        got = value if value.bit_length() <= 64 else "an integer of more than 64 bits"
        raise Invalid(path, f"{dotted(path)} is {got}, wanted {low} to {high}")
    return value


def unique(names: list[str], table: str, key: str) -> None:
    """Require that no name is repeated."""
    taken: set[str] = set()
    for i, name in enumerate(names):
        if name in taken:
            raise Invalid((table, i, key), f"{name!r} is repeated in {table}", code="config-duplicate")
        taken.add(name)


def same(value: Any, wanted: Any) -> bool:
    """Equality that also compares types: in Python, True equals 1."""
    if type(value) is not type(wanted) or value != wanted:
        return False
    if isinstance(wanted, dict):
        return all(same(value[key], wanted[key]) for key in wanted)
    return all(map(same, value, wanted)) if isinstance(wanted, list) else True
