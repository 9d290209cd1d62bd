"""The one cursor over binary formats: bytes from front to back, each length checked before it is taken."""

from __future__ import annotations

from typing import Literal

from enarx.errors import ParseError


class Reader:
    """Reads the format `what`; `at` is the offset of the next byte. Errors have codes that begin with `code`."""

    def __init__(self, data: bytes, what: str, *, code: str, order: Literal["little", "big"] = "little") -> None:
        self._data = data
        self._what = what
        self._code = code
        self._order: Literal["little", "big"] = order
        self.at = 0

    @property
    def left(self) -> int:
        """How many bytes follow."""
        return len(self._data) - self.at

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size > self.left:
            raise self.error("cut", f"{size} bytes wanted, {self.left} left")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, size: int) -> int:
        """An unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), self._order)

    def numbers(self, *sizes: int) -> tuple[int, ...]:
        """Unsigned integers of these sizes in bytes."""
        return tuple(self.number(size) for size in sizes)

    def sized(self, width: int) -> bytes:
        """Bytes behind their length, which takes `width` bytes."""
        return self.take(self.number(width))

    def zeros(self, size: int) -> None:
        """Reserved bytes."""
        if self.take(size).strip(b"\0"):
            raise self.error("reserved", f"{size} reserved bytes before this offset are not zero")

    def seek(self, offset: int) -> None:
        """Go on at an offset that the format names."""
        if not 0 <= offset <= len(self._data):
            raise self.error("offset", f"offset {offset} lies outside of {len(self._data)} bytes")
        self.at = offset

    def rest(self) -> bytes:
        """All that follows."""
        return self.take(self.left)

    def end(self) -> None:
        """Nothing follows."""
        if self.left:
            raise self.error("trailing", f"{self.left} bytes behind the end")

    def error(self, kind: str, message: str, *, hint: str = "") -> ParseError:
        """An error at this offset."""
        return ParseError(
            f"{self._code}-{kind}", f"{self._what}: {message}", what=self._what, offset=self.at, hint=hint
        )
