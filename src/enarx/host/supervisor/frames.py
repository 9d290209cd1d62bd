"""Frames by their length prefix and type, which is all that a host reads of them (docs/spec/delivery.md, "Frames")."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

LENGTH = 4
HEAD = LENGTH + 1
MAX_FRAME = (1 << 20) + (64 << 10)
"""Bytes of the largest frame, its length prefix not counted."""

FROM_TENANT = frozenset(range(1, 7))
"""Types of frames that a tenant sends. A host passes on no other: what they are is the Keep's affair."""

SMALL = 16 << 10
"""Room to begin with; a supervisor whose Keep is idle, or talks little, needs no more."""


class FrameError(ValueError):
    """A length prefix of 0 or over MAX_FRAME, or a type that is not among those wanted; `code` says which."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Frame:
    """Room for a frame that comes in from a non-blocking socket and may go out to another, used again and again.

    `types` are those that may come in, all of them where it is empty.
    """

    def __init__(self, types: frozenset[int] = frozenset()) -> None:
        self._types = types
        self._room = memoryview(bytearray(SMALL))
        self.clear()

    @property
    def begun(self) -> bool:
        """Is there anything in it?"""
        return self.have > 0

    @property
    def whole(self) -> bool:
        """Is all of it there?"""
        return self._headed and self.have == self._wanted

    @property
    def data(self) -> memoryview:
        """What is there of it."""
        return self._room[: self.have]

    def read(self, source: socket.socket) -> bool:
        """Read more: is it whole now? BlockingIOError if nothing is there, EOFError at the end, FrameError."""
        while not self.whole:
            count = source.recv_into(self._room[self.have : self._wanted])
            if not count:
                raise EOFError
            self.have += count
            if self.have == self._wanted and not self._headed:
                self._read_head()
        return True

    def _read_head(self) -> None:
        length, kind = int.from_bytes(self._room[:LENGTH], "big"), self._room[LENGTH]
        if not 0 < length <= MAX_FRAME:
            raise FrameError("frame-size", f"a frame of {length} bytes, wanted 1 to {MAX_FRAME}")
        if self._types and kind not in self._types:
            raise FrameError("frame-type", f"a frame of type {kind}, which no tenant sends")
        self._headed = True
        self._wanted = LENGTH + length
        if self._wanted > len(self._room):
            self._widen()

    def _widen(self) -> None:
        room = memoryview(bytearray(LENGTH + MAX_FRAME))
        room[:HEAD] = self._room[:HEAD]
        self._room = room

    def write(self, target: socket.socket) -> None:
        """Send the rest of it, then be empty; BlockingIOError if it does not all go."""
        while self._sent < self.have:
            self._sent += target.send(self._room[self._sent : self.have])
        self.clear()

    def clear(self) -> None:
        """Be empty."""
        self.have = self._sent = 0
        self._wanted = HEAD
        self._headed = False
