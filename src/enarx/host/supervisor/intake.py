"""Input to a Keep: connections send frames, and each frame is passed on once it is complete.

The tenant has an intake of its own, which one connection at a time holds. Holders of the tenant's invitation share
MAX_INVITED others. Complete frames of all intakes go to the Keep in the order in which they were completed, and an intake
reads its next frame only when the last is gone. So a sender delays each frame of another by one frame of its own at most.
"""

from __future__ import annotations

import time
from collections import deque

from enarx.host.supervisor.frames import FROM_INVITED, FROM_TENANT, Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from enarx.host.supervisor.clients import Client

    Refusal = tuple[Client, str, str]

SLOW = 60.0
"""Seconds for the next frame to arrive, in addition to the time that its size takes at RATE."""

WANTED = 5.0
"""Seconds for the next frame while another connection waits to send input, also in addition to the time at RATE."""

RATE = 16 << 10
"""Bytes per second: the slowest acceptable sender."""

MAX_INVITED = 8
"""Connections of holders of an invitation that send at once."""

TERM = 5.0
"""Seconds that a holder of an invitation may send before it gives way to another."""


class Intake:
    """The connection that sends input, and its current frame. If `patient`, the connection may pause between two frames."""

    def __init__(self, types: frozenset[int], *, patient: bool) -> None:
        self._patient = patient
        self._since = 0.0
        self.begun = 0.0
        self.holder: Client | None = None
        self.frame = Frame(types)
        self.taken = 0

    def take(self, client: Client) -> None:
        """Let this connection send input."""
        self.holder, client.intake = client, self
        self._since = self.begun = time.monotonic()

    def release(self) -> None:
        """End the holder's turn; an incomplete frame is discarded."""
        if self.holder is not None:
            self.holder.intake = None
        self.holder = None
        if not self.frame.whole:
            self.frame.clear()

    @property
    def is_free(self) -> bool:
        """Whether no connection holds it and no frame of it waits for the Keep."""
        return self.holder is None and not self.frame.whole

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

    def write(self, keep: socket.socket) -> None:
        """Send the Keep as much of the frame as it takes."""
        try:
            self.frame.write(keep)
        except BlockingIOError:
            return
        except OSError:
            self.frame.clear()  # the Keep's end is noticed where its output is read
        self._since = time.monotonic()


class Intakes:
    """All intakes of a Keep, and the order in which their complete frames go to it."""

    def __init__(self, *, patient: bool) -> None:
        self.tenant = Intake(FROM_TENANT, patient=patient)
        self._invited: list[Intake] = []
        self._waiting: deque[Intake] = deque()

    def __iter__(self) -> Iterator[Intake]:
        yield self.tenant
        yield from list(self._invited)

    @property
    def held(self) -> bool:
        """Whether any connection sends input."""
        return any(intake.holder is not None for intake in self)

    @property
    def waiting(self) -> bool:
        """Whether a complete frame waits for the Keep."""
        return bool(self._waiting)

    def free(self, client: Client) -> Intake | None:
        """An intake for this client; None if there is none."""
        if not client.invited:
            return self.tenant if self.tenant.holder is None else None
        if self._is_full():
            return None
        intake = Intake(FROM_INVITED, patient=False)
        self._invited.append(intake)
        return intake

    def slow(self, *, wanted: bool = False) -> list[Refusal]:
        """The holders whose next frame is late: each with the code and the message of its refusal."""
        late = [intake.holder for intake in self if intake.holder is not None and intake.is_slow(wanted=wanted)]
        return [(holder, "slow", "the next frame took too long to arrive") for holder in late]

    def giving_way(self, client: Client) -> list[Refusal]:
        """The connections that give way to this client, in the form of `slow`.

        To the tenant, its own if it is slow. To the holder of an invitation, when all intakes are taken, the one that has
        sent longest, if it has had its term.
        """
        if not client.invited:
            return [late for late in self.slow(wanted=True) if late[0].intake is self.tenant]
        holding = [intake for intake in self._invited if intake.holder is not None]
        longest = min(holding, key=lambda intake: intake.begun, default=None)
        if longest is None or not self._is_full() or time.monotonic() - longest.begun <= TERM:
            return []
        assert longest.holder is not None  # as `holding` says
        return [(longest.holder, "busy", "other holders of the invitation wait: go on with another request")]

    def _is_full(self) -> bool:
        self._invited = [intake for intake in self._invited if not intake.is_free]
        return len(self._invited) >= MAX_INVITED

    def queue(self, intake: Intake) -> None:
        """Note that the frame of this intake is complete."""
        self._waiting.append(intake)

    def pass_on(self, keep: socket.socket) -> None:
        """Send the Keep as many complete frames as it takes. A frame that was begun is finished before the next."""
        while self._waiting:
            self._waiting[0].write(keep)
            if self._waiting[0].frame.whole:
                return
            self._waiting.popleft()
