"""The way into a Keep: one connection at a time gives it frames, each passed on once it is whole."""

from __future__ import annotations

import time

from enarx.host.supervisor.frames import FROM_TENANT, Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from enarx.host.supervisor.clients import Client

SLOW = 60.0
"""Seconds that the next frame may take to come, beside what its size takes at RATE."""

WANTED = 5.0
"""The same while another connection asks to give input."""

RATE = 16 << 10
"""Bytes per second: the slowest that a frame may come at."""


class Intake:
    """Who gives input, and the frame that is on its way. `patient`: a connection may keep silent between two frames."""

    def __init__(self, *, patient: bool) -> None:
        self._patient = patient
        self._since = 0.0
        self.holder: Client | None = None
        self.frame = Frame(FROM_TENANT)
        self.taken = 0

    def take(self, client: Client) -> None:
        """From now on this connection gives input."""
        self.holder = client
        self._since = time.monotonic()

    def release(self) -> None:
        """Nobody gives input; part of a frame goes with the connection that brought it."""
        self.holder = None
        if not self.frame.whole:
            self.frame.clear()

    def is_slow(self, *, wanted: bool = False) -> bool:
        """Has the holder's next frame taken too long? Not where it is the Keep that has not taken the last one."""
        if self.holder is None or self.frame.whole or (self._patient and not self.frame.begun):
            return False
        allowed = (WANTED if wanted else SLOW) + self.frame.have / RATE
        return time.monotonic() - self._since > allowed

    def read(self, client: Client) -> bool:
        """One whole frame from the holder; BlockingIOError, EOFError, FrameError as Frame."""
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
        """Give the Keep what it takes of the frame."""
        try:
            self.frame.write(keep)
        except BlockingIOError:
            return
        except OSError:
            self.frame.clear()  # the Keep's end is seen where its output is read
        self._since = time.monotonic()
