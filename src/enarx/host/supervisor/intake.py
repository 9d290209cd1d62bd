"""The way into a Keep: one connection at a time gives input, and each frame is passed on once it is whole."""

from __future__ import annotations

import time

from enarx.host.supervisor.frames import FROM_TENANT, Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from enarx.host.supervisor.clients import Client

SLOW = 60.0
"""Seconds for the next frame to arrive, in addition to the time that its size takes at RATE."""

WANTED = 5.0
"""The same while another connection asks to give input."""

RATE = 16 << 10
"""Bytes per second: the slowest acceptable sender."""


class Intake:
    """The connection that gives input, and its current frame. If `patient`, it may pause between two frames."""

    def __init__(self, *, patient: bool) -> None:
        self._patient = patient
        self._since = 0.0
        self.holder: Client | None = None
        self.frame = Frame(FROM_TENANT)
        self.taken = 0

    def take(self, client: Client) -> None:
        """Let this connection give input."""
        self.holder = client
        self._since = time.monotonic()

    def release(self) -> None:
        """Let no connection give input; an incomplete frame is discarded."""
        self.holder = None
        if not self.frame.whole:
            self.frame.clear()

    def is_slow(self, *, wanted: bool = False) -> bool:
        """Is the holder's next frame late? Time that the Keep takes for the last frame does not count."""
        if self.holder is None or self.frame.whole or (self._patient and not self.frame.begun):
            return False
        allowed = (WANTED if wanted else SLOW) + self.frame.have / RATE
        return time.monotonic() - self._since > allowed

    def read(self, client: Client) -> bool:
        """Read one whole frame from the holder. BlockingIOError, EOFError, FrameError as in `Frame.read`."""
        begun = self.frame.begun
        try:
            self.frame.read(client.connection)
        finally:
            if self._patient and not begun:
                self._since = time.monotonic()
        client.frames += 1
        self.taken += 1
        return True

    def pass_on(self, keep: socket.socket) -> None:
        """Send the Keep as much of the frame as it takes."""
        try:
            self.frame.write(keep)
        except BlockingIOError:
            return
        except OSError:
            self.frame.clear()  # the Keep's end is noticed where its output is read
        self._since = time.monotonic()
