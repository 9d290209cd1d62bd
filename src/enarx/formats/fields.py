"""Fields of decoded JSON objects and CBOR maps, each read by name as the type that its format gives it.

Decoders return `dict[str, Any]` or `dict[int, Any]`, about which nothing is known. A `Fields` checks one value at a time, and a
ParseError names the path to what is wrong. Fields that nobody asks for are ignored: vendors add some.

    level = Fields(value, "Intel collateral", code="collateral")
    level.text("tcbStatus")
    level.inner("tcb").number("pcesvn", 1 << 16)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, TypeAlias, TypeVar

from enarx.errors import ParseError
from enarx.formats.text import hex_bytes

_T = TypeVar("_T")
Path: TypeAlias = tuple[str | int, ...]
"""Where a map stands in the whole; it is put into words for errors alone."""

MAX_TEXT = 1 << 20
MAX_ITEMS = 256
KINDS = {
    type(None): "nothing",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a text",
    bytes: "bytes",
    list: "an array",
    dict: "a map",
}


class Fields:
    """A map of the format `what`, whose errors have the code `<code>-field`. `path` is where it stands in the whole."""

    __slots__ = ("_code", "_path", "_table", "_what")

    def __init__(self, value: object, what: str, *, code: str, path: str | Path = "") -> None:
        self._what, self._code = what, code
        self._path: Path = (path,) if isinstance(path, str) else path
        if not isinstance(value, dict):
            raise ParseError(f"{code}-field", f"{self._place() or what}: got {_shown(value)}, wanted a map", what=what)
        self._table: dict[Any, Any] = value

    def __contains__(self, key: str | int) -> bool:
        return key in self._table

    @property
    def names(self) -> frozenset[Any]:
        """The names of all fields."""
        return frozenset(self._table)

    def get(self, key: str | int) -> Any:
        """A field as decoded; None if it is missing."""
        return self._table.get(key)

    def inner(self, key: str | int) -> Fields:
        """A field that is a map."""
        return Fields(self._table.get(key), self._what, code=self._code, path=(*self._path, key))

    def each(self, key: str | int, read: Callable[[Fields], _T], *, most: int = MAX_ITEMS) -> tuple[_T, ...]:
        """An array of maps, each put through `read`."""
        items = enumerate(self.array(key, most=most))
        return tuple([read(Fields(item, self._what, code=self._code, path=(*self._path, key, i))) for i, item in items])

    def numbers(self, key: str | int, name: str | int, end: int, *, most: int = MAX_ITEMS) -> tuple[int, ...]:
        """The number called `name` of each map in an array: as `each` with `number`, without a `Fields` for each map."""
        items = self.array(key, most=most)
        numbers: tuple[Any, ...] = tuple([item.get(name) if type(item) is dict else None for item in items])
        if not numbers or ({*map(type, numbers)} == {int} and 0 <= min(numbers) <= max(numbers) < end):
            return numbers
        return self.each(key, lambda item: item.number(name, end), most=most)  # raises, with the place of the error

    def array(self, key: str | int, *, most: int = MAX_ITEMS) -> list[Any]:
        """The array under `key`, of at most `most` items. ParseError."""
        value = self._table.get(key)
        if not isinstance(value, list) or len(value) > most:
            raise self.error(key, f"an array of at most {most}")
        return value

    def text(self, key: str | int, *, longest: int = MAX_TEXT) -> str:
        """The text under `key`: at most `longest` printable characters. ParseError."""
        value = self._table.get(key)
        if not isinstance(value, str) or len(value) > longest or not value.isprintable():
            raise self.error(key, f"a printable text of at most {longest} characters")
        return value

    def lines(self, key: str | int) -> str:
        """A text of any characters."""
        value = self._table.get(key)
        if not isinstance(value, str):
            raise self.error(key, "a text")
        return value

    def number(self, key: str | int, end: int) -> int:
        """An integer from 0 to below `end`. A boolean is none, and neither is 1.0."""
        value = self._table.get(key)
        if type(value) is not int or not 0 <= value < end:
            raise self.error(key, f"an integer from 0 to {end - 1}")
        return value

    def binary(self, key: str | int, sizes: Collection[int]) -> bytes:
        """A byte string of one of these sizes."""
        value = self._table.get(key)
        if not isinstance(value, bytes) or len(value) not in sizes:
            raise self.error(key, f"bytes, {_sizes(sizes)}")
        return value

    def hex(self, key: str | int, size: int) -> bytes:
        """A text of hexadecimal digits, for `size` bytes."""
        try:
            return hex_bytes(self.lines(key), size)
        except ValueError:
            raise self.error(key, f"{size} bytes in hexadecimal") from None

    def error(self, key: str | int, wanted: str) -> ParseError:
        """The error for a field that is not as wanted."""
        got = _shown(self._table.get(key))
        return ParseError(f"{self._code}-field", f"{self._place(key)}: got {got}, wanted {wanted}", what=self._what)

    def _place(self, *keys: str | int) -> str:
        return ".".join([str(key) for key in (*self._path, *keys) if key != ""])


def json_object(data: bytes, what: str, *, code: str, path: str, unique: bool, limit: int) -> Fields:
    """A JSON object. With `unique`, a duplicate name in any object is refused; else its last value counts.

    ParseError for anything else, and for more than `limit` bytes.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("duplicate name")
        return table

    if len(data) > limit:
        raise ParseError(f"{code}-size", f"{path}: {len(data)} bytes, at most {limit}", what=what)
    try:
        value = json.loads(data, object_pairs_hook=once if unique else None)
    except (ValueError, RecursionError) as e:
        raise ParseError(f"{code}-json", f"{path}: not JSON{', or a duplicate name' * unique}", what=what) from e
    return Fields(value, what, code=code, path=path)


def _shown(value: object) -> str:
    """What a value is, and a short one itself."""
    if isinstance(value, (bytes, list)):
        return f"{KINDS[type(value)]}, {len(value)}"
    if isinstance(value, str) and len(value) <= 40:
        return ascii(value)
    if type(value) is int and value.bit_length() <= 64:
        return str(value)
    return KINDS.get(type(value), type(value).__name__)


def _sizes(sizes: Collection[int]) -> str:
    return f"{min(sizes)} to {max(sizes)}" if isinstance(sizes, range) else " or ".join(map(str, sizes))
