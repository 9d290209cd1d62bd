"""The tenant's stdin: read once, and kept until the Keep confirms it, so that it can be sent again."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from enarx.delivery.session import MAX_DATA
from enarx.errors import DeliveryError

Stdin = BinaryIO | int | Iterable[bytes] | None
"""Where stdin comes from: a binary file, a descriptor, chunks of bytes, or nothing."""


class Unconfirmed:
    """The tenant's stdin from `offset` on, read ahead of the Keep's confirmation and kept until confirmed."""

    def __init__(self, source: Stdin) -> None:
        self._read = _reader(source)
        self._kept: deque[tuple[int, bytes]] = deque()
        self._offset: int | None = None

    def rewind(self, offset: int) -> Iterator[tuple[int, bytes | memoryview]]:
        """Pieces of at most MAX_DATA bytes with their offsets, from `offset` to the end of stdin.

        DeliveryError if `offset` is before the first kept byte or after the last byte read.
        """
        if self._offset is None:
            self._offset = offset
        self.confirm(offset)
        start = self._kept[0][0] if self._kept else self._offset
        if not start <= offset <= self._offset:
            raise DeliveryError(
                "stdin-offset",
                f"the Keep wants stdin from {offset}, kept is {start} to {self._offset}",
                state="session",
            )
        for at, data in list(self._kept):
            yield max(at, offset), memoryview(data)[max(offset - at, 0) :]
        while data := self._read():
            at, self._offset = self._offset, self._offset + len(data)
            self._kept.append((at, data))
            yield at, data

    def confirm(self, offset: int) -> None:
        """Drop the pieces before `offset`, which the Keep has confirmed."""
        while self._kept and self._kept[0][0] + len(self._kept[0][1]) <= offset:
            self._kept.popleft()


def _reader(source: Stdin) -> Callable[[], bytes]:
    """A function that reads the next bytes of a source, at most MAX_DATA, and returns no bytes at its end."""
    if source is None:
        return lambda: b""
    if isinstance(source, int):
        descriptor = source
        return lambda: os.read(descriptor, MAX_DATA)
    read = getattr(source, "read1", None) or getattr(source, "read", None)
    if read is not None:
        return lambda: bytes(read(MAX_DATA))
    pieces = _pieces(source)
    return lambda: next(pieces, b"")


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), MAX_DATA):
            yield bytes(view[start : start + MAX_DATA])
