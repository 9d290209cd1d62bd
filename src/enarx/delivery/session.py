"""Sealed records of a running workload, and its status (docs/spec/delivery.md, "Output" and "Attachments").

Two kinds of record share one form:

* *Output records* (`output`) are sealed under a key of the session. They are numbered from 0 over the whole life of the
  Keep, stored by the host, and can be read by every attachment. Exactly one final record ends them; without it there is
  no result.
* *Attachment records* are sealed under keys of one attachment, one for each direction. They carry stdin and requests to
  the Keep, and acknowledgements back, and end with the attachment.
"""

from __future__ import annotations

import struct
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.messages import attach_transcript
from enarx.delivery.stream import TAG
from enarx.delivery.suite import derive
from enarx.errors import DeliveryError, ParseError
from enarx.formats.wire import CHUNK
from enarx.record import record

CHANNEL_HEADER = struct.Struct(">IQ")
"""In clear before an attachment record: the attachment's number, the record's number."""
BODY = struct.Struct(">BQ")
"""The start of each plaintext: the record's kind, and the absolute offset of its data in bytes."""

STDIN_WINDOW = 4 << 20
"""Bytes of stdin that the tenant may send ahead of the Keep's acknowledgement."""

STDOUT, STDERR = 1, 2
STDIN, STDIN_END, STOP = 16, 17, 18
STATE, BROKEN = 32, 33
STATE_DATA = struct.Struct(">Q?")
"""The data of a STATE reply: the number of output records so far, and whether stdin is open. Its offset is the number of
bytes of stdin that were taken."""
MAX_DATA = CHUNK - 64


def seal_record(aead: AESGCM, number: int, final: bool, header: bytes, body: bytes, data: bytes | memoryview) -> bytes:
    """Seal body and data under the record's number as nonce; returns the header, which stays in clear, and the sealed bytes."""
    nonce = bytes(3) + number.to_bytes(8, "big") + bytes([final])
    return header + aead.encrypt(nonce, body + data, header)


def open_record(
    aead: AESGCM, number: int, final: bool, header: bytes, sealed: bytes, state: str
) -> tuple[int, int, bytes]:
    """Return kind, offset and data of a sealed record; DeliveryError if it does not open."""
    nonce = bytes(3) + number.to_bytes(8, "big") + bytes([final])
    if len(sealed) < TAG + BODY.size:
        raise DeliveryError("record-size", f"record {number} is too short", state=state)
    try:
        plain = aead.decrypt(nonce, sealed, header)
    except InvalidTag:
        raise DeliveryError(
            "record-broken", f"record {number} does not open: changed, or not from this session", state=state
        ) from None
    kind, offset = BODY.unpack_from(plain)
    return kind, offset, plain[BODY.size :]


@record()
class Status:
    """How a workload ended, as a final record says.

    cause           exit | trap | time | memory | output | stopped | refused | failed
    code            the workload's own exit code if cause is exit, else 0
    message         an explanation for people
    backtrace       the Wasm frames of a trap
    stdout, stderr  bytes written in all
    milliseconds    wall time of the run
    memory          bytes of linear memory at the end
    time            unix seconds by the Keep's clock, which never falls below the delivery's time
    """

    cause: str
    code: int = 0
    message: str = ""
    backtrace: str = ""
    stdout: int = 0
    stderr: int = 0
    milliseconds: int = 0
    memory: int = 0
    time: int = 0

    CAUSES = ("exit", "trap", "time", "memory", "output", "stopped", "refused", "failed")

    @classmethod
    def from_fields(cls, value: dict[str, Any]) -> Self:
        """Make a status from a map with exactly its fields; ParseError if a value is not allowed."""
        texts = ("cause", "message", "backtrace")
        if any(type(v) is not (str if k in texts else int) for k, v in value.items()):
            raise ParseError("status-types", "status: a field of another type", what="status")
        if value["cause"] not in cls.CAUSES:
            raise ParseError("status-cause", "status: an unknown cause", what="status")
        if not 0 <= value["code"] < 256 or any(v < 0 for v in value.values() if type(v) is int):
            raise ParseError("status-range", "status: a number out of range", what="status")
        return cls(**value)


class Channel:
    """One direction of one attachment. One side seals with it, the other opens."""

    def __init__(self, secret: bytes, *, transcript: bytes, number: int, to_keep: bool) -> None:
        self._aead = AESGCM(derive(secret, transcript, "attachment to keep" if to_keep else "attachment to tenant"))
        self.number = number
        self._next = 0

    def seal(self, kind: int, offset: int, data: bytes | memoryview = b"") -> bytes:
        """Return the payload of the next INPUT or REPLY frame."""
        number, self._next = self._next, self._next + 1
        header = CHANNEL_HEADER.pack(self.number, number)
        return seal_record(self._aead, number, False, header, BODY.pack(kind, offset), data)

    def open(self, payload: bytes) -> tuple[int, int, bytes] | None:
        """Return kind, offset and data of the next record; None if it belongs to another attachment.

        DeliveryError if it is not the next record, or does not open.
        """
        if len(payload) < CHANNEL_HEADER.size:
            raise DeliveryError("record-size", "an attachment record is too short", state="attached")
        attachment, number = CHANNEL_HEADER.unpack_from(payload)
        if attachment != self.number:
            return None
        if number != self._next:
            raise DeliveryError("record-order", f"attachment record {number}, wanted {self._next}", state="attached")
        record = open_record(
            self._aead, number, False, payload[: CHANNEL_HEADER.size], payload[CHANNEL_HEADER.size :], "attached"
        )
        self._next += 1
        return record


def channels(secret: bytes, *, session: bytes, nonce: bytes, keep_nonce: bytes, number: int) -> tuple[Channel, Channel]:
    """Return both directions of an attachment: to the Keep, and to the tenant."""
    basis = attach_transcript(session, nonce, keep_nonce, number)
    to_keep = Channel(secret, transcript=basis, number=number, to_keep=True)
    return to_keep, Channel(secret, transcript=basis, number=number, to_keep=False)
