"""Frames by their length prefix, which is all that a host reads of them (docs/spec/delivery.md, "Frames")."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

LENGTH = 4
MAX_FRAME = (1 << 20) + (64 << 10)
"""Bytes of the largest frame, its length prefix not counted."""


SMALL = 16 << 10
"""Room to begin with; a supervisor whose Keep is idle, or talks little, needs no more."""


class FrameSizeError(ValueError):
    """A length prefix of 0, or over MAX_FRAME."""


class Frame:
    """Room for one frame that comes in from one non-blocking socket and may go out to another, used again and again."""

    def __init__(self) -> None:
        self._room = memoryview(bytearray(SMALL))
        self._have = self._sent = 0
        self._wanted = LENGTH

    @property
    def begun(self) -> bool:
        """Is there anything in it?"""
        return self._have > 0

    @property
    def whole(self) -> bool:
        """Is all of it there?"""
        return self._have == self._wanted > LENGTH

    @property
    def data(self) -> memoryview:
        """What is there of it."""
        return self._room[: self._have]

    def read(self, source: socket.socket) -> bool:
        """Read more: is it whole now? BlockingIOError if nothing is there, EOFError at the end, FrameSizeError."""
        while not self.whole:
            count = source.recv_into(self._room[self._have : self._wanted])
            if not count:
                raise EOFError
            self._have += count
            if self._have == self._wanted == LENGTH:
                length = int.from_bytes(self._room[:LENGTH], "big")
                if not 0 < length <= MAX_FRAME:
                    raise FrameSizeError(length)
                self._wanted += length
                if self._wanted > len(self._room):
                    self._widen()
        return True

    def _widen(self) -> None:
        room = memoryview(bytearray(LENGTH + MAX_FRAME))
        room[:LENGTH] = self._room[:LENGTH]
        self._room = room

    def write(self, target: socket.socket) -> None:
        """Send the rest of it, then be empty; BlockingIOError if it does not all go."""
        while self._sent < self._have:
            self._sent += target.send(self._room[self._sent : self._have])
        self.clear()

    def clear(self) -> None:
        """Be empty."""
        self._have = self._sent = 0
        self._wanted = LENGTH
