"""Input to a Keep: one connection at a time sends it, and each frame is passed on once it is complete."""

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
"""Seconds for the next frame while another connection waits to send input, also in addition to the time at RATE."""

RATE = 16 << 10
"""Bytes per second: the slowest acceptable sender."""


class Intake:
    """The connection that sends input, and its current frame. If `patient`, the connection may pause between two frames."""

    def __init__(self, *, patient: bool) -> None:
        self._patient = patient
        self._since = 0.0
        self.holder: Client | None = None
        self.frame = Frame(FROM_TENANT)
        self.taken = 0

    def take(self, client: Client) -> None:
        """Let this connection send input."""
        self.holder = client
        self._since = time.monotonic()

    def release(self) -> None:
        """End the holder's turn; an incomplete frame is discarded."""
        self.holder = None
        if not self.frame.whole:
            self.frame.clear()

    def is_slow(self, *, wanted: bool = False) -> bool:
        """Whether the holder's next frame is late. Time that the Keep takes for the last frame does not count."""
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
