"""Who may say what when: the one table that both sides follow (docs/spec/delivery.md, "States").

A state is of the conversation as one side sees it. The tenant sends CHALLENGE, DELIVERY, CHUNK, ATTACH, INPUT, ATTEST and
takes the rest; the Keep the other way round. Three moves are not by frame type alone, so they stand in the table by names
of their own: the last CHUNK completes the package, and among OUTPUT frames the acceptance opens the session and the final
record ends it.
"""

from __future__ import annotations

from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType as F

FRESH = "fresh"
CHALLENGED = "challenged"
ATTESTED = "attested"
RECEIVING = "receiving"
COMPLETE = "complete"
SESSION = "session"
ENDED = "ended"
REFUSED = "refused"

LAST_CHUNK = "the last chunk"
ACCEPTANCE = "the acceptance"
FINAL = "the final record"

TABLE: dict[tuple[str, F | str], str] = {
    (FRESH, F.CHALLENGE): CHALLENGED,
    (CHALLENGED, F.ATTESTATION): ATTESTED,
    (ATTESTED, F.DELIVERY): RECEIVING,
    (RECEIVING, F.CHUNK): RECEIVING,
    (RECEIVING, F.RECEIVED): RECEIVING,
    (RECEIVING, F.DELIVERY): RECEIVING,
    (RECEIVING, LAST_CHUNK): COMPLETE,
    (RECEIVING, FINAL): ENDED,
    (COMPLETE, F.RECEIVED): COMPLETE,
    (COMPLETE, F.DELIVERY): COMPLETE,
    (COMPLETE, F.CHUNK): COMPLETE,
    (COMPLETE, LAST_CHUNK): COMPLETE,
    (COMPLETE, ACCEPTANCE): SESSION,
    (COMPLETE, FINAL): ENDED,
    (SESSION, F.ATTACH): SESSION,
    (SESSION, F.ATTACHED): SESSION,
    (SESSION, F.INPUT): SESSION,
    (SESSION, F.REPLY): SESSION,
    (SESSION, F.ATTEST): SESSION,
    (SESSION, F.EVIDENCE): SESSION,
    (SESSION, F.OUTPUT): SESSION,
    (SESSION, FINAL): ENDED,
    (FRESH, F.REFUSAL): REFUSED,
    (CHALLENGED, F.REFUSAL): REFUSED,
    (ATTESTED, F.REFUSAL): REFUSED,
    (RECEIVING, F.REFUSAL): REFUSED,
}


class Conversation:
    """One side's place in the table; every frame sent or received goes through `step`."""

    def __init__(self, state: str = FRESH) -> None:
        self._state = state

    @property
    def state(self) -> str:
        """Where it stands; only `step` moves it."""
        return self._state

    def step(self, event: F | str) -> None:
        """Follow the table; DeliveryError if there is no such move, and the state stays."""
        following = TABLE.get((self._state, event))
        if following is None:
            name = event.name.lower() if isinstance(event, F) else event
            raise DeliveryError("unexpected-message", f"{name} has no place when {self._state}", state=self._state)
        self._state = following
