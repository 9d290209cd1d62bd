"""Frames on the keeper's control socket. Nothing here waits, except `drain`."""

from __future__ import annotations

import socket
from collections import deque

from enarx.errors import ParseError, UnavailableError
from enarx.formats.wire import CHUNK, HEADER, LARGEST, FrameType, frame_header

HIGH_WATER = 4 << 20
"""Unsent bytes above which the keeper stops reading the guest's output."""

ANSWERS = 2 * HIGH_WATER
"""Unsent bytes above which the keeper stops reading frames. The room between is for answers, so that a host that stops
reading cannot keep a tenant from stopping a workload."""

TURN = 16
"""Reads of skipped bytes before the caller has its turn, so that a host cannot keep a limit from being enforced."""

LENGTH = 4
Frame = tuple[FrameType | ParseError, memoryview]
"""Type and payload of a frame. A skipped frame has the error in place of its type."""


class Frames:
    """Both directions of the control socket. UnavailableError once the host has closed its end.

    A frame of unknown type, or larger than its type allows, is never held in memory: it is skipped by its length, and
    reported.
    """

    def __init__(self, control: socket.socket) -> None:
        self._socket = control
        self._buffer = bytearray(HEADER.size + max(LARGEST.values()))
        self._view = memoryview(self._buffer)
        self._have = 0
        self._to_skip = 0
        self._queue: deque[memoryview] = deque()
        self.queued = 0

    def fileno(self) -> int:
        """Return the socket's descriptor, for poll."""
        return self._socket.fileno()

    def read(self) -> Frame | None:
        """Return the next frame, or None if it is not complete yet. The payload is valid until the next call."""
        if not self._skip() or not self._fill(HEADER.size):
            return None
        head = bytes(self._view[: HEADER.size])
        try:
            kind, size = frame_header(head)
        except ParseError as e:
            self._refuse(head)
            return e, self._view[:0]
        total = HEADER.size + size
        if not self._fill(total):
            return None
        self._have = 0
        return kind, self._view[HEADER.size : total]

    def _refuse(self, head: bytes) -> None:
        """Arrange to skip the rest of a frame. A frame of length 0 has no type: the fifth byte is the next frame's first."""
        length = int.from_bytes(head[:LENGTH], "big")
        self._to_skip = max(0, length - 1)
        self._have = 0 if length else 1
        self._view[:1] = head[LENGTH:]

    def _skip(self) -> bool:
        """Drop bytes of a refused frame; returns whether all of them have been dropped."""
        for _ in range(TURN):
            if not self._to_skip:
                return True
            count = self._receive(self._view[: min(self._to_skip, CHUNK)])
            if not count:
                return False
            self._to_skip -= count
        return not self._to_skip

    def _fill(self, wanted: int) -> bool:
        while self._have < wanted:
            count = self._receive(self._view[self._have : wanted])
            if not count:
                return False
            self._have += count
        return True

    def _receive(self, into: memoryview) -> int:
        """Return the number of bytes read, 0 if none have arrived."""
        try:
            count = self._socket.recv_into(into, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            count = 0
        if not count:
            raise _gone()
        return count

    def write(self, data: bytes) -> None:
        """Queue whole frames, and send at once what the socket takes."""
        if data:
            self._queue.append(memoryview(data))
            self.queued += len(data)
            self.flush()

    def flush(self) -> None:
        """Send what the socket takes without waiting."""
        while self._queue:
            try:
                sent = self._socket.send(self._queue[0], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError as e:
                raise _gone() from e
            self.queued -= sent
            if sent == len(self._queue[0]):
                self._queue.popleft()
            else:
                self._queue[0] = self._queue[0][sent:]

    def drain(self) -> None:
        """Send everything that is queued, and wait as long as the host takes to read it."""
        while self._queue:
            try:
                self._socket.sendall(self._queue[0], socket.MSG_NOSIGNAL)
            except OSError as e:
                raise _gone() from e
            self.queued -= len(self._queue.popleft())


def _gone() -> UnavailableError:
    return UnavailableError("host-gone", "the host has closed the Keep's control socket")
