"""Which readers may pause the Keep while its store is full.

The tenant's readers may, so that they lose nothing. Holders of its invitation may as well, but must not stop the job: all
their pauses together last at most PAUSE, and as long as the Keep's output so far takes at PACE.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from enarx.host.supervisor.clients import Client

PAUSE = 20.0
"""Seconds that the Keep pauses for holders of an invitation, in addition to the time that its output takes at PACE."""

PACE = 64 << 10
"""Bytes per second."""

LOOK = 1.0
"""Seconds between two checks of deadlines."""


class Pauses:
    """`received` is the number of bytes that the Keep has sent so far."""

    def __init__(self) -> None:
        self.received = 0
        self._seconds = self._looked = 0.0

    def may_hold(self, client: Client) -> bool:
        """Whether a reader may pause the Keep: the tenant's always, those of an invitation until their time is up."""
        return not client.invited or self._seconds <= PAUSE + self.received / PACE

    def check(self, clients: Collection[Client], now: float) -> None:
        """Count the time since the last check if the Keep pauses, and not for the tenant. The store is full."""
        holding = [c for c in clients if c.cursor is not None and c.cursor.holds and self.may_hold(c)]
        if holding and all(client.invited for client in holding):
            self._seconds += min(LOOK, now - self._looked)
        self._looked = now
