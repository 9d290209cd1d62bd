"""The cursor over binary formats: it reads front to back, and checks each length before it takes the bytes.

read = Reader(data, "SNP report", code="snp")
version = read.number(4)
read.zeros(8)
read.end()
"""

from __future__ import annotations

from typing import Literal

from enarx.errors import ParseError


class Reader:
    """A position in bytes of the format `what`; `at` is the next offset. Error codes start with `code`."""

    def __init__(self, data: bytes, what: str, *, code: str, order: Literal["little", "big"] = "little") -> None:
        self._data = data
        self._what = what
        self._code = code
        self._order: Literal["little", "big"] = order
        self.at = 0

    @property
    def left(self) -> int:
        """The number of bytes after the cursor."""
        return len(self._data) - self.at

    def take(self, size: int) -> bytes:
        """The next `size` bytes; ParseError if fewer are left."""
        if size > self.left:
            raise self.error("cut", f"{size} bytes wanted, {self.left} left")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, size: int) -> int:
        """An unsigned integer of `size` bytes in the reader's byte order."""
        return int.from_bytes(self.take(size), self._order)

    def numbers(self, *sizes: int) -> tuple[int, ...]:
        """Consecutive unsigned integers of these sizes in bytes."""
        return tuple(self.number(size) for size in sizes)

    def sized(self, width: int) -> bytes:
        """A byte string that follows its length, an integer of `width` bytes."""
        return self.take(self.number(width))

    def zeros(self, size: int) -> None:
        """Skip `size` reserved bytes; ParseError unless all are zero."""
        if self.take(size).strip(b"\0"):
            raise self.error("reserved", f"{size} reserved bytes before this offset are not zero")

    def seek(self, offset: int) -> None:
        """Continue at an offset that the format names; ParseError if it is outside the data."""
        if not 0 <= offset <= len(self._data):
            raise self.error("offset", f"offset {offset} is outside the {len(self._data)} bytes")
        self.at = offset

    def rest(self) -> bytes:
        """All bytes after the cursor."""
        return self.take(self.left)

    def end(self) -> None:
        """Require that no bytes are left; ParseError otherwise."""
        if self.left:
            raise self.error("trailing", f"{self.left} bytes after the end")

    def error(self, kind: str, message: str, *, hint: str = "") -> ParseError:
        """A ParseError at the current offset, with code `code`-`kind`."""
        return ParseError(
            f"{self._code}-{kind}", f"{self._what}: {message}", what=self._what, offset=self.at, hint=hint
        )
