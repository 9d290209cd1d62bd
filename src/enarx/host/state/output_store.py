"""A Keep's output on the host's disk: frames as received, numbered, in segments. The oldest segment is dropped first.

From the first frame with results on, nothing is dropped: results come last, and without all of them they are worth nothing. A
segment holds entries `u64 number | frame`. Readers get them in the same form, so reading is copying. All of it is ciphertext.
A missing number is a frame that the host dropped.
"""

from __future__ import annotations

import os

from enarx.host.supervisor.frames import FILES, LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = 8
HEAD = NUMBER + LENGTH
MIN_SEGMENT = 256 << 10
SEGMENTS = 8
WALK = 64 << 10
PREFIX = "output."
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def segment_name(first: int) -> str:
    """The file name of the segment that begins with frame `first`."""
    return f"{PREFIX}{first:016x}"


def sealed_results(disk: int) -> int:
    """The bytes that a host must be able to store for the results of a Keep of `disk` bytes, with what sealing adds."""
    return disk + (disk >> 8) + (1 << 20)


class OutputStore:
    """Stores frames: appended at the end, read from any number on. `directory` is a descriptor, the limits are in bytes.

    `results` limits the frames from the first with results on, and `limit` those before.
    """

    def __init__(self, directory: int, limit: int, results: int) -> None:
        self._directory = directory
        self._limit = limit
        self._results = results
        self._from = -1
        self._kept = 0
        self._segment = max(MIN_SEGMENT, limit // SEGMENTS)
        self._sizes: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._fd = -1
        self.next = 0
        self.stored = 0

    @property
    def first(self) -> int:
        """The number of the oldest stored frame."""
        return next(iter(self._sizes), self.next)

    @property
    def dropped(self) -> int:
        """The number of frames that were dropped, or never stored because the disk was full."""
        return self.next - sum(self._counts.values())

    @property
    def full(self) -> bool:
        """Whether the oldest segment must be dropped before more is added. It has no results."""
        return self.stored - self._kept >= self._limit and len(self._sizes) > 1 and self.first != self._from

    @property
    def crammed(self) -> bool:
        """Whether there is no room for more results."""
        return self._kept >= self._results and len(self._sizes) > 1

    def numbers(self) -> dict[str, int]:
        """Its counters, as clients see them."""
        return {"frames": self.next, "first": self.first, "stored": self.stored, "dropped": self.dropped}

    def open(self, first: int) -> int:
        """A descriptor of the segment that begins with frame `first`."""
        return os.open(segment_name(first), READ, dir_fd=self._directory)

    def append(self, frame: memoryview) -> bool:
        """Add one whole frame. A frame that cannot be written, on a full disk for example, is dropped with its number.

        False if it is one that must not be dropped: the caller has to try again later.
        """
        try:
            if self._from < 0 and frame[LENGTH] == FILES:
                self._roll()
                self._from = self.next
            self._write(frame)
        except OSError:
            if self._from >= 0 or frame[LENGTH] == FILES:
                return False
        self.next += 1
        return True

    def _write(self, frame: memoryview) -> None:
        if self._fd < 0 or self._sizes[self._last] >= self._segment:
            self._roll()
        entry = NUMBER + len(frame)
        number = self.next.to_bytes(NUMBER, "big")
        try:
            done = os.writev(self._fd, (number, frame))
            while done < entry:  # a limit is near: the next write raises the error that names it
                done += os.write(self._fd, (number + frame)[done:])
        except OSError:
            os.ftruncate(self._fd, self._sizes[self._last])
            raise
        self._sizes[self._last] += entry
        self._counts[self._last] += 1
        self.stored += entry
        self._kept += entry if self._from >= 0 else 0

    @property
    def _last(self) -> int:
        return next(reversed(self._sizes))

    def _roll(self) -> None:
        """Begin another segment in its own file."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(segment_name(self.next), flags, 0o600, dir_fd=self._directory)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._sizes[self.next] = self._counts[self.next] = 0

    def drop(self) -> None:
        """Drop the oldest segment and its frames."""
        first = self.first
        size = self._sizes.pop(first)
        self.stored -= size
        self._kept -= size if 0 <= self._from <= first else 0
        del self._counts[first]
        try:
            os.unlink(segment_name(first), dir_fd=self._directory)
        except OSError:
            pass  # gone already, or the disk is read-only: its frames count as dropped all the same

    def segment(self, number: int) -> int:
        """The first frame of the segment that holds frame `number`, or of the oldest segment after it."""
        return max((first for first in self._sizes if first <= number), default=self.first)

    def size(self, first: int) -> int:
        """Bytes in a segment so far; -1 if it has been dropped."""
        return self._sizes.get(first, -1)

    def following(self, first: int) -> int | None:
        """The first frame of the segment after `first`; None if there is no such segment yet."""
        return next((other for other in self._sizes if other > first), None)


class Cursor:
    """A reader's place in a store: before the first entry whose number is at least `number`."""

    def __init__(self, store: OutputStore, number: int) -> None:
        self._store = store
        self._number = number
        self._segment = self._fd = -1
        self._offset = 0
        self._is_placed = False

    @property
    def done(self) -> bool:
        """Whether there is nothing to send now."""
        return not self._advance()

    @property
    def holds(self) -> bool:
        """Whether this reader still needs a part of the oldest segment."""
        return self._advance() and self._segment == self._store.first

    def send(self, target: int) -> bool:
        """Copy some output to a non-blocking socket; False if there is nothing to copy.

        BlockingIOError if the socket takes no more; OSError, EOFError if the segment cannot be read.
        """
        while self._advance():
            if self._fd < 0:
                self._fd = self._store.open(self._segment)
            if not self._is_placed:
                self._offset, self._is_placed = self._skip(), True
                continue
            sent = os.sendfile(target, self._fd, self._offset, self._store.size(self._segment) - self._offset)
            if not sent:
                raise EOFError
            self._offset += sent
            return True
        return False

    def _advance(self) -> bool:
        """Move to a segment with something to send; False if there is none. Touches no file."""
        store = self._store
        if self._segment < 0:
            if store.next <= self._number or store.first == store.next:
                return False
            self._segment = store.segment(self._number)
        while self._offset >= store.size(self._segment):
            following = store.following(self._segment)
            if following is None:
                return False
            self.close()
            self._segment, self._offset, self._is_placed = following, 0, True
        return True

    def _skip(self) -> int:
        """The offset of this segment's first entry with a number of at least ours, or the segment's size."""
        for offset, number in self._entries():
            if number >= self._number:
                return offset
        return self._store.size(self._segment)

    def _entries(self) -> Iterator[tuple[int, int]]:
        """Offset and number of each entry of this segment. Most are small, so they are read many at once."""
        size, base, piece = self._store.size(self._segment), 0, b""
        offset = 0
        while offset < size:
            if offset + HEAD > base + len(piece):
                base, piece = offset, os.pread(self._fd, WALK, offset)
            head = piece[offset - base : offset - base + HEAD]
            yield offset, int.from_bytes(head[:NUMBER], "big")
            offset += HEAD + int.from_bytes(head[NUMBER:], "big")

    def close(self) -> None:
        """Close the file of the segment."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
