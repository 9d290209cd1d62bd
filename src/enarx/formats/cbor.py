"""CBOR (RFC 8949) from untrusted sources: `scan` checks all bytes before cbor2 decodes any.

The scan takes linear time and keeps one entry for each open container, plus the keys of open maps for a lenient form.
It refuses tags that the form does not name, so nothing expands; lengths beyond the input, so nothing is allocated for
missing bytes; and more items than the form allows, so a decoded value is at most a small multiple of its bytes. The
constants are in docs/spec/bounds.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any, TypeAlias

import cbor2

from enarx.errors import ParseError
from enarx.record import record

FREE_ITEMS = 4096
"""Items that any input may have. Each further item must take two bytes on average."""

MAX_INTEGER_KEYS = 4096
"""Integer keys of all maps in one input. Their hashes are predictable, so an attacker can make them collide."""

_ENDLESS = 1 << 62
_BREAK = 0xFF
_Keys: TypeAlias = "bytes | set[tuple[int, int, bytes]] | None"
"""The keys of an open map: the last one if keys are sorted, else all of them. None for other containers."""


@record()
class Form:
    """The CBOR that a format allows.

    An item lies within at most `depth - 1` others. `items` limits their number; None allows FREE_ITEMS and one more for
    every two bytes. `strict` requires the deterministic encoding: shortest arguments, definite lengths, map keys that are
    texts or integers, sorted by the length of their encoding and then bytewise, integers from -2^63. A lenient form also
    accepts byte strings as keys, in any order but without duplicates. Only a `variant` may have floats and arguments
    longer than necessary.
    """

    depth: int
    items: int | None = None
    strict: bool = True
    tags: frozenset[int] = frozenset()
    variant: bool = False


def decode(data: bytes, what: str, form: Form) -> Any:
    """The value of a CBOR item; ParseError unless `data` is exactly one item of the form."""
    scan(data, what, form)
    try:
        return cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError) as e:
        raise ParseError("cbor", f"{what}: a text that is not UTF-8", what=what) from e


def each(data: bytes, what: str, form: Form) -> Iterator[Any]:
    """Yield the entries of a CBOR array one by one, so that they need not all be in memory; ParseError."""
    scan(data, what, form)
    if data[0] >> 5 != 4:
        raise ParseError("cbor-type", f"{what}: wanted an array", what=what)
    low = data[0] & 31
    width = 1 << (low - 24) if low > 23 else 0
    count = int.from_bytes(data[1 : 1 + width], "big") if width else low
    source = BytesIO(data)
    source.seek(1 + width)
    decoder = cbor2.CBORDecoder(source)
    for _ in range(count):
        try:
            yield decoder.decode()
        except (cbor2.CBORDecodeError, ValueError) as e:
            raise ParseError("cbor", f"{what}: a text that is not UTF-8", what=what) from e


def scan(data: bytes, what: str, form: Form) -> None:
    """Require that `data` is exactly one item of the form; ParseError. cbor2 checks that texts are UTF-8."""
    _Scan(data, what, form).walk()


class _Scan:
    """One scan over the bytes; `at` is the offset of the current item."""

    def __init__(self, data: bytes, what: str, form: Form) -> None:
        self._data, self._what, self._form = data, what, form
        self._integers = MAX_INTEGER_KEYS
        self._room = FREE_ITEMS + len(data) // 2 if form.items is None else form.items
        self.at = 0

    def walk(self) -> None:
        """Scan item by item, without recursion.

        `left` counts the items that the innermost container still needs. In a map, an even count means that a key is next.
        """
        data, end, room, strict = self._data, len(self._data), self._room, self._form.strict
        above: list[tuple[int, _Keys]] = []
        left: int = 1
        keys: _Keys = None
        at = 0
        while left or above:
            if not left:
                left, keys = above.pop()
                continue
            self.at = at
            if at >= end:
                raise self._error("cbor", "the data ends within an item")
            first = data[at]
            at += 1
            major, size = first >> 5, first & 31
            if size > 23:
                if first == _BREAK and left > _ENDLESS >> 1 and (keys is None or not left & 1):
                    left = 0
                    continue
                at, size = self._argument(at, major, size)
            room -= 1
            if room < 0:
                raise self._error("cbor-items", "too many items for so few bytes")
            left -= 1
            if major == 2 or major == 3:
                at += size
                if at > end:
                    raise self._error("cbor", "the data ends within an item")
            elif major >= 6 or (major == 1 and strict and size >> 63):
                self._other(major, size)
            if keys is not None and left & 1:
                keys = self._key(keys, major, size, at)
            elif major >= 4 and major != 7:
                above.append((left, keys))
                left, keys = self._inside(major, size, at, len(above))
        self.at = at
        if at != end:
            raise self._error("cbor", f"{end - at} bytes after the end")

    def _argument(self, at: int, major: int, low: int) -> tuple[int, int]:
        """The end of an argument and its value; -1 stands for an indefinite length."""
        form, width = self._form, 1 << (low - 24)
        if low == 31 and major in (4, 5) and not form.strict:
            return at, -1
        if major == 7 and form.variant and low in (25, 26, 27):
            return self._past(at, width), 20  # a float, skipped like any simple value
        if major == 7 and low < 28:
            raise self._error("cbor-type", "a float or a simple value that the format does not allow")
        if low > 27:
            raise self._error("cbor-encoding", "an indefinite length or a reserved argument")
        end = self._past(at, width)
        size = int.from_bytes(self._data[at:end], "big")
        if not form.variant and size < (24 if low == 24 else 1 << (4 * width)):
            raise self._error("cbor-encoding", "an argument longer than necessary")
        return end, size

    def _past(self, at: int, width: int) -> int:
        if at + width > len(self._data):
            raise self._error("cbor", "the data ends within an item")
        return at + width

    def _other(self, major: int, size: int) -> None:
        """Check an integer of more than 63 bits, a tag or a simple value."""
        if major == 1:
            raise self._error("cbor-type", "an integer of more than 64 bits")
        if major == 6 and size not in self._form.tags:
            raise self._error("cbor-type", "a tag that the format does not allow")
        if major == 7 and size not in (20, 21, 22):
            raise self._error("cbor-type", "a float or a simple value that the format does not allow")

    def _inside(self, major: int, size: int, at: int, depth: int) -> tuple[int, _Keys]:
        """The number of items within a container or a tag, and the initial keys of a map."""
        count = _ENDLESS if size < 0 else 1 if major == 6 else size << (major == 5)
        if size >= 0 and count > len(self._data) - at:
            raise self._error("cbor", "the data ends within an item")
        empty = not count or (size < 0 and self._data[at : at + 1] == b"\xff")
        if depth >= self._form.depth and not empty:
            raise self._error("cbor-depth", f"nested deeper than {self._form.depth}")
        return count, None if major != 5 else b"" if self._form.strict else set()

    def _key(self, keys: bytes | set[tuple[int, int, bytes]], major: int, size: int, at: int) -> _Keys:
        """The keys of a map after one more key, which ends at `at`."""
        if major > 3 or (major == 2 and self._form.strict):
            raise self._error("cbor-type", "a map key of a type that the format does not allow")
        self._integers -= major < 2
        if self._integers < 0:
            raise self._error("cbor-items", f"more than {MAX_INTEGER_KEYS} integer keys")
        if isinstance(keys, bytes):
            key = self._data[self.at : at]
            if (len(key), key) <= (len(keys), keys):
                raise self._error("cbor-encoding", "map keys out of order or repeated")
            return key
        identity = (major, size, self._data[at - size : at] if major > 1 else b"")
        if identity in keys:
            raise self._error("cbor", "a map with a repeated key")
        keys.add(identity)
        return keys

    def _error(self, code: str, message: str) -> ParseError:
        return ParseError(code, f"{self._what}: {message}", what=self._what, offset=self.at)
