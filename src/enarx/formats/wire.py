"""The frames that tenant, host and Keep exchange: deterministic CBOR with a length prefix.

Specified in docs/spec/delivery.md, sections "Encoding" and "Frames". A frame is

    length  u32 big-endian, the size of type and payload
    type    u8, a `FrameType`
    payload length - 1 bytes

The host relays frames by their length alone. Tenant and Keep hold each type to its own bound before they read the
payload. `decode` accepts exactly one encoding of each value: RFC 8949 4.2.1 without tags, floats or indefinite lengths
(`enarx.formats.cbor`).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TypeAlias

import cbor2

from enarx.errors import ParseError
from enarx.formats import cbor

Value: TypeAlias = "bool | int | str | bytes | list[Value] | dict[str, Value] | dict[int, Value] | None"

CHUNK = 512 << 10
"""Plaintext bytes of each sealed chunk except the last: large enough to be cheap per byte, small enough for a core's cache."""

MAX_FRAME = (1 << 20) + (64 << 10)
"""Bytes of the largest frame, without its length prefix."""

MAX_DEPTH = 8
FORM = cbor.Form(depth=MAX_DEPTH)
HEADER = struct.Struct(">IB")


class FrameType(IntEnum):
    """The types of frames. The tenant sends those below 64, the Keep those from 64 on.

    16 to 31 and 80 to 95 are reserved for further data owners.
    """

    CHALLENGE = 1
    DELIVERY = 2
    CHUNK = 3
    ATTACH = 4
    INPUT = 5
    ATTEST = 6

    ATTESTATION = 64
    REFUSAL = 65
    ATTACHED = 66
    OUTPUT = 67
    REPLY = 68
    RECEIVED = 69
    EVIDENCE = 70
    FILES = 71


MAX_EVIDENCE = 64 << 10
MAX_ENDORSED = 256 << 10
"""Bytes of all endorsements together that accompany one piece of evidence."""

SMALL = 512
"""Bytes of a message that consists of digests, nonces and numbers only."""

_SEALED = CHUNK + 64
_ATTESTED = MAX_EVIDENCE + MAX_ENDORSED + (4 << 10)
LARGEST: dict[FrameType, int] = {
    FrameType.CHALLENGE: SMALL,
    FrameType.DELIVERY: (256 << 10) + (8 << 10),
    FrameType.CHUNK: _SEALED,
    FrameType.ATTACH: SMALL,
    FrameType.INPUT: _SEALED,
    FrameType.ATTEST: SMALL,
    FrameType.ATTESTATION: _ATTESTED,
    FrameType.REFUSAL: SMALL,
    FrameType.ATTACHED: SMALL,
    FrameType.OUTPUT: _SEALED,
    FrameType.REPLY: SMALL,
    FrameType.RECEIVED: SMALL,
    FrameType.EVIDENCE: _ATTESTED,
    FrameType.FILES: _SEALED,
}
"""Bytes of the largest payload of each type."""


def encode(value: object) -> bytes:
    """The canonical encoding of a value."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, what: str) -> Value:
    """The value whose canonical encoding is `data`; ParseError, before any value is built from the bytes."""
    value: Value = cbor.decode(data, what, FORM)
    return value


def frame(kind: FrameType, payload: bytes) -> bytes:
    """One frame, ready to send."""
    return frame_head(kind, len(payload)) + payload


def frame_head(kind: FrameType, size: int) -> bytes:
    """The first five bytes of a frame with `size` bytes of payload; ParseError if `size` exceeds the type's bound."""
    if size > LARGEST[kind]:
        raise ParseError("frame-size", f"{kind.name.lower()} of {size} bytes, at most {LARGEST[kind]}", what="frame")
    return HEADER.pack(size + 1, kind)


def frame_header(header: bytes) -> tuple[FrameType, int]:
    """Type and payload size of the frame that starts with these five bytes; ParseError if either is invalid."""
    length, number = HEADER.unpack(header)
    try:
        kind = FrameType(number)
    except ValueError:
        raise ParseError("frame-type", f"frame of unknown type {number}", what="frame", offset=4) from None
    if not 1 <= length <= LARGEST[kind] + 1:
        got = f"{kind.name.lower()} of {length} bytes, type included, wanted 1 to {LARGEST[kind] + 1}"
        raise ParseError("frame-size", got, what="frame")
    return kind, length - 1
