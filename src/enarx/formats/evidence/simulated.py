"""Simulated evidence: what the simulated-hardware process signs (docs/spec/simulated.md). It proves nothing about hardware.

Its format, label and root are its own, so it can not be taken for evidence of any hardware, nor that for it.
"""

from __future__ import annotations

from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.package import byte_strings
from enarx.formats.wire import decode, encode
from enarx.record import record

KIND = "simulated"
VERSION = 1
MAX_SIZE = 4096
EVIDENCE_LABEL = b"enarx simulated evidence v1\0"
CHIP_LABEL = b"enarx simulated chip v1\0"

_BYTES = {"chip_id": 32, "measurement": 48, "host_data": 32, "report_data": 64}
_CHIP_BYTES = {"chip_id": 32, "public_key": 32}
MAX_SVN = 255
MAX_TIME = 1 << 40


def _signed(data: bytes, what: str) -> tuple[bytes, bytes]:
    """Body and signature of a signed value."""
    if len(data) > MAX_SIZE:
        raise ParseError("evidence-size", f"{what}: {len(data)} bytes, at most {MAX_SIZE}", what=what)
    value: Any = decode(data, what)
    match value:
        case {"body": bytes(body), "signature": bytes(signature)} if len(value) == 2 and len(signature) == 64:
            return body, signature
    raise ParseError("evidence-form", f"{what}: wanted a body and a signature of 64 bytes", what=what)


def _body(data: bytes, what: str, sizes: dict[str, int], others: dict[str, range | type]) -> dict[str, Any]:
    value: Any = decode(data, what)
    if not isinstance(value, dict) or set(value) != {*sizes, *others, "version"}:
        raise ParseError(
            "evidence-keys", f"{what}: wanted exactly {', '.join([*sizes, *others, 'version'])}", what=what
        )
    if value.pop("version") is not VERSION:
        raise ParseError("evidence-version", f"{what}: another version than {VERSION}", what=what)
    for name, size in sizes.items():
        byte_strings([value[name]], size, f"{what} {name}")
    for name, allowed in others.items():
        item = value[name]
        fits = type(item) is allowed if isinstance(allowed, type) else type(item) is int and item in allowed
        if not fits:
            raise ParseError("evidence-value", f"{what}: {name} is out of range", what=what)
    return value


@record()
class Evidence:
    """A report about one Keep.

    chip_id 32 bytes; measurement 48 bytes (SHA-384 of the Keep's files); host_data 32 bytes (the package it was
    launched for, or zeros); report_data 64 bytes; svn 0 to 255; debug. `signed` is the body as received.
    """

    chip_id: bytes
    measurement: bytes
    host_data: bytes
    report_data: bytes
    svn: int
    debug: bool
    signed: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        what = "simulated evidence"
        body, signature = _signed(data, what)
        value = _body(body, what, _BYTES, {"svn": range(MAX_SVN + 1), "debug": bool})
        return cls(**value, signed=body, signature=signature)


@record()
class ChipCertificate:
    """The root's word for a chip's key, between two times in unix seconds. `signed` is the body as received."""

    chip_id: bytes
    public_key: bytes
    not_before: int
    not_after: int
    signed: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        what = "simulated chip certificate"
        body, signature = _signed(data, what)
        value = _body(body, what, _CHIP_BYTES, {"not_before": range(MAX_TIME), "not_after": range(MAX_TIME)})
        return cls(**value, signed=body, signature=signature)


def evidence_body(
    *, chip_id: bytes, measurement: bytes, host_data: bytes, report_data: bytes, svn: int, debug: bool
) -> bytes:
    """What is to be signed, behind EVIDENCE_LABEL, by the chip's key."""
    return encode(
        {
            "version": VERSION,
            "chip_id": chip_id,
            "measurement": measurement,
            "host_data": host_data,
            "report_data": report_data,
            "svn": svn,
            "debug": debug,
        }
    )


def chip_body(*, chip_id: bytes, public_key: bytes, not_before: int, not_after: int) -> bytes:
    """What is to be signed, behind CHIP_LABEL, by the root."""
    fields = {"chip_id": chip_id, "public_key": public_key, "not_before": not_before, "not_after": not_after}
    return encode({"version": VERSION, **fields})


def signed(body: bytes, signature: bytes) -> bytes:
    """Body and signature as they travel."""
    return encode({"body": body, "signature": signature})
