"""Frames by their length prefix and type, which is all that a host reads of them (docs/spec/delivery.md, "Frames")."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

LENGTH = 4
HEAD = LENGTH + 1
MAX_FRAME = (1 << 20) + (64 << 10)
"""Bytes of the largest frame, without its length prefix."""

FILES = 71
"""The type of frames with results. They are held back rather than dropped."""

FROM_TENANT = frozenset(range(1, 7))
"""Types of frames that a tenant sends. A host relays no other type, and the Keep interprets them."""

SMALL = 16 << 10
"""Initial room: a supervisor whose Keep is idle, or sends little, needs no more."""


class FrameError(ValueError):
    """An invalid frame length or type; `code` says which."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Frame:
    """A reusable buffer for a frame that arrives from a non-blocking socket and may be sent to another.

    `types` are the accepted types; empty accepts all.
    """

    def __init__(self, types: frozenset[int] = frozenset()) -> None:
        self._types = types
        self._room = memoryview(bytearray(SMALL))
        self.clear()

    @property
    def begun(self) -> bool:
        """Whether a part of the frame has arrived."""
        return self.have > 0

    @property
    def whole(self) -> bool:
        """Whether the whole frame has arrived."""
        return self._has_head and self.have == self._wanted

    @property
    def data(self) -> memoryview:
        """The bytes of the frame that have arrived so far."""
        return self._room[: self.have]

    def read(self, source: socket.socket) -> bool:
        """Read until the frame is whole. BlockingIOError if the rest has not arrived, EOFError at the end, FrameError."""
        while not self.whole:
            count = source.recv_into(self._room[self.have : self._wanted])
            if not count:
                raise EOFError
            self.have += count
            if self.have == self._wanted and not self._has_head:
                self._read_head()
        return True

    def _read_head(self) -> None:
        length, kind = int.from_bytes(self._room[:LENGTH], "big"), self._room[LENGTH]
        if not 0 < length <= MAX_FRAME:
            raise FrameError("frame-size", f"frame length {length}, wanted 1 to {MAX_FRAME}")
        if self._types and kind not in self._types:
            raise FrameError("frame-type", f"frame type {kind}, which no tenant sends")
        self._has_head = True
        self._wanted = LENGTH + length
        if self._wanted > len(self._room):
            self._widen()

    def _widen(self) -> None:
        room = memoryview(bytearray(LENGTH + MAX_FRAME))
        room[:HEAD] = self._room[:HEAD]
        self._room = room

    def write(self, target: socket.socket) -> None:
        """Send the rest of the frame, then clear it. BlockingIOError if the target does not take all of it."""
        while self._sent < self.have:
            self._sent += target.send(self._room[self._sent : self.have])
        self.clear()

    def clear(self) -> None:
        """Discard the bytes that have arrived so far."""
        self.have = self._sent = 0
        self._wanted = HEAD
        self._has_head = False
