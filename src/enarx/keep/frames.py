"""Frames on the keeper's control socket: blocking while a package comes in, never blocking while a guest runs."""

from __future__ import annotations

import socket
from collections import deque

from enarx.errors import UnavailableError
from enarx.formats.wire import HEADER, MAX_FRAME, FrameType, frame_header

HIGH_WATER = 4 << 20
"""Unsent bytes above which the keeper takes no more output from the guest."""


class Frames:
    """Both directions of the control socket. EOF means that the host has let go of this Keep: UnavailableError."""

    def __init__(self, control: socket.socket) -> None:
        self._socket = control
        self._buffer = bytearray(HEADER.size + MAX_FRAME)
        self._view = memoryview(self._buffer)
        self._have = 0
        self._queue: deque[memoryview] = deque()
        self.queued = 0

    def fileno(self) -> int:
        """For poll."""
        return self._socket.fileno()

    def read(self, *, wait: bool) -> tuple[FrameType, memoryview] | None:
        """The next frame, its payload valid until the next call; without `wait` None if it is not all there yet."""
        self._fill(HEADER.size, wait)
        if self._have < HEADER.size:
            return None
        kind, size = frame_header(bytes(self._buffer[: HEADER.size]))
        total = HEADER.size + size
        self._fill(total, wait)
        if self._have < total:
            return None
        self._have = 0
        return kind, self._view[HEADER.size : total]

    def _fill(self, wanted: int, wait: bool) -> None:
        while self._have < wanted:
            try:
                flags = 0 if wait else socket.MSG_DONTWAIT
                count = self._socket.recv_into(self._view[self._have : wanted], 0, flags)
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if not count:
                raise UnavailableError("host-gone", "the host has let go of this Keep")
            self._have += count

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
