"""COSE_Sign1 (RFC 9052, 4.2) in strict CBOR (RFC 8949): what cbor2 lets pass is refused before it reads anything."""

from __future__ import annotations

from typing import Any

import cbor2

from enarx.errors import ParseError
from enarx.record import record

SIGN1_TAG = 18
MAX_DEPTH = 12
MAX_ITEMS = 4096
ALGORITHMS = {-7: "ES256", -35: "ES384", -36: "ES512"}
"""COSE algorithms that are known, by their numbers (RFC 9053, 2.1)."""


@record()
class Sign1:
    """One signed message; all as received. `algorithm` is one of ALGORITHMS; `signature` is r | s."""

    protected: bytes
    algorithm: str
    payload: bytes
    signature: bytes

    @property
    def signed(self) -> bytes:
        """Sig_structure (RFC 9052, 4.4), without external data."""
        return cbor2.dumps(["Signature1", self.protected, b"", self.payload])


def sign1(data: bytes, what: str, *, more: frozenset[int] = frozenset(), variant: bool = False) -> Sign1:
    """A message, tagged or not; ParseError for anything but one with an algorithm in its protected header.

    `more` are parameters that may stand in either header besides; nothing rests on them. `variant` as for `decode`.
    """
    value = decode(data, what, tags=frozenset((SIGN1_TAG,)), variant=variant)
    if isinstance(value, cbor2.CBORTag):
        value = value.value
    match value:
        case [bytes(protected), dict(header), bytes(payload), bytes(signature)] if set(header) <= more:
            inner = decode(protected, what, variant=variant)
            known = isinstance(inner, dict) and {1} <= set(inner) <= {1, *more} and type(inner[1]) is int
            if not known or inner[1] not in ALGORITHMS:
                raise ParseError("cose-algorithm", "protected header: wanted one of ES256, ES384, ES512", what=what)
            return Sign1(protected=protected, algorithm=ALGORITHMS[inner[1]], payload=payload, signature=signature)
    raise ParseError("cose-form", "not a COSE_Sign1 with the headers that it may have", what=what)


def decode(data: bytes, what: str, *, tags: frozenset[int] = frozenset(), variant: bool = False) -> Any:
    """One item and nothing behind it: no key twice, no float, no tag but these, lengths that are there, not too deep.

    With `variant` numbers may stand in more bytes than they need, and there may be floats: formats that say so are read so.
    """
    scan = _Scan(data, what, tags, variant)
    scan.item(0)
    if scan.at != len(data):
        raise ParseError("cbor-trailing", f"{len(data) - scan.at} bytes behind the end", what=what, offset=scan.at)
    return _thawed(cbor2.loads(data))


def _thawed(value: Any) -> Any:
    """Plain lists and dicts for what cbor2 freezes within tags."""
    if isinstance(value, cbor2.CBORTag):
        return cbor2.CBORTag(value.tag, _thawed(value.value))
    if isinstance(value, (list, tuple)):
        return [_thawed(item) for item in value]
    if hasattr(value, "items"):
        return {key: _thawed(item) for key, item in value.items()}
    return value


class _Scan:
    """One walk over the bytes; `at` is how far it has come."""

    def __init__(self, data: bytes, what: str, tags: frozenset[int], variant: bool) -> None:
        self._data = data
        self._what = what
        self._tags = tags
        self._variant = variant
        self._items = 0
        self.at = 0

    def item(self, depth: int) -> tuple[int, int | None, bytes]:
        """Go past one item; major type, argument, and what a string holds: of a key, what tells it from others."""
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise self._error("nested too deeply, or too many items")
        major, size = self._head()
        piece = b""
        if major in (2, 3):
            piece = self._text(major, size)
        elif major == 4:
            self._array(size, depth)
        elif major == 5:
            self._map(size, depth)
        elif major == 6:
            if size not in self._tags:
                raise self._error("a tag that does not belong here")
            self.item(depth + 1)
        elif major == 7 and size not in (20, 21, 22):
            raise self._error("a float or a simple value that does not belong here")
        return major, size, piece

    def _head(self) -> tuple[int, int | None]:
        """Major type and argument; None is an indefinite length."""
        first = self._take(1)[0]
        major, low = first >> 5, first & 31
        if low < 24:
            return major, low
        if low == 31 and major in (2, 3, 4, 5):
            return major, None
        if major == 7 and self._variant and low in (25, 26, 27):
            self._take(1 << (low - 24))
            return major, 20  # a float, which is passed over as any simple value is
        if low > 27 or major == 7:
            raise self._error("an argument of no known form")
        argument = int.from_bytes(self._take(1 << (low - 24)), "big")
        if not self._variant and argument < (24 if low == 24 else 1 << (4 << (low - 24))):
            raise self._error("an argument in more bytes than it needs")  # else one key could be written in two ways
        return major, argument

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise self._error("the data ends within an item")
        self.at += size
        return self._data[self.at - size : self.at]

    def _text(self, major: int, size: int | None) -> bytes:
        if size is None:
            raise self._error("a text or byte string in pieces")
        piece = self._take(size)
        if major == 3:
            try:
                piece.decode()
            except UnicodeDecodeError:
                raise self._error("a text that is not UTF-8") from None
        return piece

    def _array(self, size: int | None, depth: int) -> None:
        while size is None and not self._broken():
            self.item(depth + 1)
        for _ in range(min(size or 0, MAX_ITEMS + 1)):
            self.item(depth + 1)

    def _map(self, size: int | None, depth: int) -> None:
        keys: set[tuple[int, int | None, bytes]] = set()
        while size is None and not self._broken():
            self._pair(keys, depth)
        for _ in range(min(size or 0, MAX_ITEMS + 1)):
            self._pair(keys, depth)

    def _pair(self, keys: set[tuple[int, int | None, bytes]], depth: int) -> None:
        start = self.at
        if self._data[start : start + 1] and self._data[start] >> 5 not in (0, 1, 2, 3):
            raise self._error("a key that is neither number nor string")
        key = self.item(depth + 1)
        if key in keys:
            raise self._error("a key stands twice in a map")
        keys.add(key)
        self.item(depth + 1)

    def _broken(self) -> bool:
        """Is this the end of an item of indefinite length? Goes past it."""
        if self._data[self.at : self.at + 1] == b"\xff":
            self.at += 1
            return True
        return False

    def _error(self, said: str) -> ParseError:
        return ParseError("cbor", said, what=self._what, offset=self.at)
