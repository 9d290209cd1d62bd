"""Frames on the keeper's control socket. Nothing here waits without a deadline but `drain`."""

from __future__ import annotations

import select
import socket
import time
from collections import deque

from enarx.errors import ParseError, UnavailableError
from enarx.formats.wire import CHUNK, HEADER, LARGEST, FrameType, frame_header

HIGH_WATER = 4 << 20
"""Unsent bytes above which the keeper takes no more output from the guest."""

ANSWERS = 2 * HIGH_WATER
"""Unsent bytes above which the keeper takes no more frames from the host: the room between is for answers to them, so
that a host that stops reading cannot keep a tenant from stopping a workload."""

TURN = 16
"""Readings of what is passed over before the caller has its turn: a host must not keep a limit from being held."""

LENGTH = 4
Frame = tuple[FrameType | ParseError, memoryview]
"""Type and payload; in the place of the type what is wrong with a frame that was passed over."""


class Frames:
    """Both directions of the control socket. EOF means that the host has let go of this Keep: UnavailableError.

    A frame of no known type, or of a size that its type does not have, is never held in memory: it is passed over by its
    length, and reported.
    """

    def __init__(self, control: socket.socket) -> None:
        self._socket = control
        self._buffer = bytearray(HEADER.size + max(LARGEST.values()))
        self._view = memoryview(self._buffer)
        self._have = 0
        self._passing = 0
        self._queue: deque[memoryview] = deque()
        self.queued = 0

    def fileno(self) -> int:
        """For poll."""
        return self._socket.fileno()

    def wait(self, deadline: float | None) -> Frame | None:
        """The next frame, or None at the deadline (of the monotonic clock; None waits for ever)."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None  # also where frames come without end
            if (frame := self.read()) is not None:
                return frame
            poll.poll(None if left is None else left * 1000 + 1)

    def read(self) -> Frame | None:
        """The next frame, its payload valid until the next call; None if it is not all there yet."""
        if not self._pass_over() or not self._fill(HEADER.size):
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
        """Pass over the rest of a frame. One of length 0 has no type: the fifth byte is the next frame's first."""
        length = int.from_bytes(head[:LENGTH], "big")
        self._passing = max(0, length - 1)
        self._have = 0 if length else 1
        self._view[:1] = head[LENGTH:]

    def _pass_over(self) -> bool:
        """Drop what belongs to a frame that was refused; is all of it gone?"""
        for _ in range(TURN):
            if not self._passing:
                return True
            count = self._receive(self._view[: min(self._passing, CHUNK)])
            if not count:
                return False
            self._passing -= count
        return not self._passing

    def _fill(self, wanted: int) -> bool:
        while self._have < wanted:
            count = self._receive(self._view[self._have : wanted])
            if not count:
                return False
            self._have += count
        return True

    def _receive(self, into: memoryview) -> int:
        """Bytes that are there now; 0 if there are none yet."""
        try:
            count = self._socket.recv_into(into, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            count = 0
        if not count:
            raise UnavailableError("host-gone", "the host has let go of this Keep")
        return count

    def write(self, data: bytes) -> None:
        """Queue a frame, and send what the socket takes at once."""
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
                raise UnavailableError("host-gone", "the host has let go of this Keep") from e
            self.queued -= sent
            if sent == len(self._queue[0]):
                self._queue.popleft()
            else:
                self._queue[0] = self._queue[0][sent:]

    def drain(self) -> None:
        """Send everything, however long the host takes."""
        while self._queue:
            try:
                self._socket.sendall(self._queue[0], socket.MSG_NOSIGNAL)
            except OSError as e:
                raise UnavailableError("host-gone", "the host has let go of this Keep") from e
            self.queued -= len(self._queue.popleft())
