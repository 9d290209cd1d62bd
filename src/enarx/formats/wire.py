"""The bytes that tenant, host and Keep exchange: deterministic CBOR inside length-prefixed frames.

Specified in docs/spec/delivery.md, sections "Encoding" and "Frames". A frame is

    length  u32 big-endian, of what follows
    type    u8, a `FrameType`
    payload length - 1 bytes

The host moves frames without looking into them; it needs the length and nothing else. `decode` accepts exactly one
encoding of each value: RFC 8949 4.2.1 without tags, floats or indefinite lengths (`enarx.formats.cbor`).
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
"""Plaintext bytes in each sealed chunk but the last: large enough to cost little each, small enough for a CPU's own cache."""

MAX_FRAME = (1 << 20) + (64 << 10)
"""Bytes in the largest frame, its length prefix not counted."""

MAX_DEPTH = 8
FORM = cbor.Form(depth=MAX_DEPTH)
HEADER = struct.Struct(">IB")


class FrameType(IntEnum):
    """Who sends what: below 64 the tenant to the Keep, from 64 on the Keep to the tenant."""

    CHALLENGE = 1
    DELIVERY = 2
    CHUNK = 3
    ATTACH = 4
    INPUT = 5

    ATTESTATION = 64
    REFUSAL = 65
    ATTACHED = 66
    OUTPUT = 67
    REPLY = 68


def encode(value: object) -> bytes:
    """The one encoding of `value`."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, what: str) -> Value:
    """The value whose one encoding is exactly `data`; ParseError otherwise, before anything is made of the bytes."""
    value: Value = cbor.decode(data, what, FORM)
    return value


def frame(kind: FrameType, payload: bytes) -> bytes:
    """One frame, ready to send."""
    if len(payload) + 1 > MAX_FRAME:
        raise ParseError("frame-size", f"frame of {len(payload)} bytes, at most {MAX_FRAME - 1}", what="frame")
    return HEADER.pack(len(payload) + 1, kind) + payload


def frame_header(header: bytes) -> tuple[FrameType, int]:
    """Type and payload length of the frame that starts with these five bytes."""
    length, kind = HEADER.unpack(header)
    if not 1 <= length <= MAX_FRAME:
        raise ParseError("frame-size", f"frame of {length} bytes, wanted 1 to {MAX_FRAME}", what="frame")
    try:
        return FrameType(kind), length - 1
    except ValueError:
        raise ParseError("frame-type", f"frame of unknown type {kind}", what="frame", offset=4) from None
