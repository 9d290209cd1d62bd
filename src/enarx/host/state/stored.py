"""Output of a Keep that has ended, read from disk in small pieces: whole entries only, however its supervisor ended."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator

from enarx.host.state.output_store import HEAD, PREFIX, READ, segment_name
from enarx.host.supervisor.frames import MAX_FRAME

PIECE = 64 << 10
ENTRY = struct.Struct(">QI")


def segments(directory: int) -> list[int]:
    """The number of the first frame of each segment in a Keep's directory, in order."""
    firsts = []
    for name in os.listdir(directory):
        digits = name.removeprefix(PREFIX)
        if len(digits) == 16 and digits != name and set(digits) <= set("0123456789abcdef"):
            firsts.append(int(digits, 16))
    return sorted(first for first in firsts if stat.S_ISREG(_status(directory, first).st_mode))


def size(directory: int) -> int:
    """Bytes in all segments together."""
    return sum(_status(directory, first).st_size for first in segments(directory))


def _status(directory: int, first: int) -> os.stat_result:
    return os.stat(segment_name(first), dir_fd=directory, follow_symlinks=False)


def pieces(directory: int, firsts: list[int], start: int) -> Iterator[bytes]:
    """The entries of the segments `firsts` with numbers from `start` on, in pieces.

    A piece may end within an entry, and may be empty; each is a bounded amount of work. OSError if a segment cannot be
    read, for example because it is being removed.
    """
    begin = max((first for first in firsts if first <= start), default=0)
    for first in firsts:
        if first >= begin:
            fd = os.open(segment_name(first), READ, dir_fd=directory)
            try:
                yield from _entries(fd, start)
            finally:
                os.close(fd)


def _entries(fd: int, start: int) -> Iterator[bytes]:
    offset, end = 0, os.fstat(fd).st_size
    while offset < end:
        piece = os.pread(fd, PIECE, offset)
        wanted, whole = _walk(piece, start)
        if whole:
            yield piece[wanted:whole]
            offset += whole
            continue
        number, length = ENTRY.unpack_from(piece.ljust(HEAD, b"\0"))
        following = offset + HEAD + length
        if not 0 < length <= MAX_FRAME or following > end:
            return  # the supervisor was killed while it wrote this entry
        for at in range(offset, following, PIECE):
            yield os.pread(fd, min(PIECE, following - at), at) if number >= start else b""
        offset = following


def _walk(piece: bytes, start: int) -> tuple[int, int]:
    """Where in `piece` the first entry with a number from `start` on begins, and where the last whole entry ends."""
    wanted = whole = 0
    while whole + HEAD <= len(piece):
        number, length = ENTRY.unpack_from(piece, whole)
        following = whole + HEAD + length
        if not 0 < length <= MAX_FRAME or following > len(piece):
            break
        whole = following
        if number < start:
            wanted = whole
    return wanted, whole
