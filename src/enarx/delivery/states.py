"""The state table: which message may follow which (docs/spec/delivery.md, "States").

Tenant and Keep follow the same table, each with a `Conversation` of its own that every message sent or received goes
through. The tenant sends CHALLENGE, DELIVERY, CHUNK, ATTACH, INPUT and ATTEST; the Keep sends all other types. Three
moves do not follow from the frame's type alone, so they have names of their own: the last CHUNK completes the package,
and among the OUTPUT frames the acceptance opens the session and the final record ends it. One frame moves nothing: a
confirmation that was still on its way when the session began, which an attachment skips.
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
    (SESSION, F.FILES): SESSION,
    (SESSION, FINAL): ENDED,
    (FRESH, F.REFUSAL): REFUSED,
    (CHALLENGED, F.REFUSAL): REFUSED,
    (ATTESTED, F.REFUSAL): REFUSED,
    (RECEIVING, F.REFUSAL): REFUSED,
}

FROM_TENANT = frozenset((F.CHALLENGE, F.DELIVERY, F.CHUNK, F.ATTACH, F.INPUT, F.ATTEST))
"""The types that a tenant sends. A Keep that receives any other refuses it, whatever the state."""


class Conversation:
    """One side's state. Only `step` changes it."""

    def __init__(self, state: str = FRESH) -> None:
        self._state = state

    @property
    def state(self) -> str:
        """The current state, one of the names in this module."""
        return self._state

    def step(self, event: F | str) -> None:
        """Make the table's move for a message. DeliveryError if the table has none; the state then stays as it is."""
        following = TABLE.get((self._state, event))
        if following is None:
            raise self.unexpected(event)
        self._state = following

    def unexpected(self, event: F | str) -> DeliveryError:
        """Return the error for a message that is not allowed in this state."""
        name = event.name.lower() if isinstance(event, F) else event
        message = f"{name} is not expected in state {self._state}"
        return DeliveryError("unexpected-message", message, state=self._state)
