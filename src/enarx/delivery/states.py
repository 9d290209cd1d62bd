"""Who may say what when: the one table that both sides follow (docs/spec/delivery.md, "States").

A state is of the conversation as one side sees it. The tenant sends CHALLENGE, DELIVERY, CHUNK, ATTACH, INPUT and takes
the rest; the Keep the other way round. Two moves are not by frame type alone: the last CHUNK opens the session, and
the final OUTPUT ends it (`Conversation.move`).
"""

from __future__ import annotations

from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType as F

FRESH = "fresh"
CHALLENGED = "challenged"
ATTESTED = "attested"
RECEIVING = "receiving"
SESSION = "session"
ENDED = "ended"
REFUSED = "refused"

TABLE: dict[tuple[str, F], str] = {
    (FRESH, F.CHALLENGE): CHALLENGED,
    (CHALLENGED, F.ATTESTATION): ATTESTED,
    (ATTESTED, F.DELIVERY): RECEIVING,
    (RECEIVING, F.CHUNK): RECEIVING,
    (RECEIVING, F.OUTPUT): RECEIVING,
    (SESSION, F.ATTACH): SESSION,
    (SESSION, F.ATTACHED): SESSION,
    (SESSION, F.INPUT): SESSION,
    (SESSION, F.REPLY): SESSION,
    (SESSION, F.OUTPUT): SESSION,
    (FRESH, F.REFUSAL): REFUSED,
    (CHALLENGED, F.REFUSAL): REFUSED,
    (ATTESTED, F.REFUSAL): REFUSED,
    (RECEIVING, F.REFUSAL): REFUSED,
}


class Conversation:
    """One side's place in the table; every frame sent or received goes through `step`."""

    def __init__(self, state: str = FRESH) -> None:
        self.state = state

    def step(self, kind: F) -> None:
        """Follow the table; DeliveryError if there is no such move, and the state stays."""
        following = TABLE.get((self.state, kind))
        if following is None:
            raise DeliveryError(
                "unexpected-message", f"{kind.name.lower()} has no place when {self.state}", state=self.state
            )
        self.state = following

    def last_chunk(self) -> None:
        """The sealed package is complete."""
        self.state = SESSION

    def final_record(self) -> None:
        """The final output record went by: nothing follows."""
        self.state = ENDED
