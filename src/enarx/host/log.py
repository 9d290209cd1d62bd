"""A Keep's output on the host's disk: frames as they came, numbered, in segments that can be dropped from the front.

A segment holds entries `u64 number | frame`, which is also how they go to a reader, so reading is copying. All of it is
ciphertext. Its files survive any end of any process; what a supervisor had not finished writing when it was killed is cut
off on the next reading.
"""

from __future__ import annotations

import os
import struct

ENTRY = struct.Struct(">QI")
"""Number of a frame, and the length prefix that the frame itself begins with."""

MIN_SEGMENT = 256 << 10


class Log:
    """Append, and read from any number on. `limit` is the bytes to keep."""

    def __init__(self, directory: str, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._segment = max(MIN_SEGMENT, limit // 8)
        self._firsts: list[int] = []
        self._sizes: list[int] = []
        self._fd = -1
        self.next = 0
        self.dropped = 0

    @property
    def first(self) -> int:
        """The number of the oldest frame that is still here."""
        return self._firsts[0] if self._firsts else self.next

    @property
    def stored(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes)

    @property
    def full(self) -> bool:
        """Must the oldest segment go before more is added?"""
        return self.stored >= self._limit and len(self._firsts) > 1

    def path(self, first: int) -> str:
        """The file of the segment that begins with frame `first`."""
        return f"{self._directory}/output.{first:016x}"

    def append(self, frame: bytes | memoryview) -> None:
        """Add one whole frame."""
        if self._fd < 0 or self._sizes[-1] >= self._segment:
            self._roll()
        data = self.next.to_bytes(8, "big") + frame
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._sizes[-1] += len(data)
        self.next += 1

    def drop(self) -> None:
        """Let the oldest segment go."""
        first = self._firsts.pop(0)
        self._sizes.pop(0)
        os.unlink(self.path(first))
        self.dropped += self.first - first

    def _roll(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self.path(self.next), flags, 0o600)
        self._firsts.append(self.next)
        self._sizes.append(0)

    def segment(self, number: int) -> int:
        """The first frame of the segment that frame `number` is, or will be, in."""
        return max((first for first in self._firsts if first <= number), default=self.first)

    def size(self, first: int) -> int:
        """Bytes in that segment so far; -1 if it has been dropped."""
        return self._sizes[self._firsts.index(first)] if first in self._firsts else -1

    def following(self, first: int) -> int | None:
        """The segment after that one, if there is one yet."""
        later = [other for other in self._firsts if other > first]
        return later[0] if later else None


class Cursor:
    """One reader's place in a log."""

    def __init__(self, log: Log, number: int) -> None:
        self._log = log
        self._fd = -1
        self._offset = 0
        self.segment = -1
        if log.next:
            self._enter(log.segment(max(number, log.first)))
            self._seek(number)
        self._number = number

    def _enter(self, first: int) -> None:
        self.close()
        self.segment = first
        self._fd = os.open(self._log.path(first), os.O_RDONLY | os.O_CLOEXEC)
        self._offset = 0

    def _seek(self, number: int) -> None:
        """Go over the entries before `number`."""
        while self._offset < self._log.size(self.segment):
            found, length = ENTRY.unpack(os.pread(self._fd, ENTRY.size, self._offset))
            if found >= number:
                return
            self._offset += ENTRY.size + length

    def send(self, target: int) -> bool:
        """Copy what there is to a non-blocking socket; False if there is nothing to copy now.

        BlockingIOError if the socket takes no more.
        """
        if self._fd < 0:
            if not self._log.next:
                return False
            self._enter(self._log.segment(max(self._number, self._log.first)))
            self._seek(self._number)
        while True:
            left = self._log.size(self.segment) - self._offset
            if left > 0:
                self._offset += os.sendfile(target, self._fd, self._offset, left)
                return True
            following = self._log.following(self.segment)
            if following is None:
                return False
            self._enter(following)

    @property
    def done(self) -> bool:
        """Has everything been copied?"""
        if self._fd < 0:
            return self._log.next == 0
        return self._offset >= self._log.size(self.segment) and self._log.following(self.segment) is None

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
