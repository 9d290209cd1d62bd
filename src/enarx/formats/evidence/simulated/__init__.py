"""Simulated evidence: what the simulated-hardware process signs (docs/spec/simulated.md). It proves nothing.

Its format, label and root are its own, so it cannot be taken for evidence of any hardware, nor that for it.
"""

from __future__ import annotations

from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.wire import decode, encode
from enarx.record import record

KIND = "simulated"
VERSION = 1
MAX_SIZE = 4096
MAX_SVN = 255
MAX_TIME = 1 << 40
SIGNATURE_SIZE = 64

EVIDENCE_LABEL = b"enarx simulated evidence v1\0"
CHIP_LABEL = b"enarx simulated chip v1\0"
"""What stands before the body under each of the two signatures."""

EVIDENCE = "simulated evidence"
CHIP = "simulated chip certificate"

_EVIDENCE_FIELDS: dict[str, int | range | type] = {
    "chip_id": 32,
    "measurement": 48,
    "host_data": 32,
    "report_data": 64,
    "svn": range(MAX_SVN + 1),
    "debug": bool,
}
_CHIP_FIELDS: dict[str, int | range | type] = {
    "chip_id": 32,
    "public_key": 32,
    "not_before": range(MAX_TIME),
    "not_after": range(MAX_TIME),
}
"""Of each field the size in bytes, the allowed integers, or the type."""


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
        """Parse; ParseError on anything but the canonical encoding."""
        body, signature = _signed(data, EVIDENCE)
        return cls(**_fields(body, EVIDENCE, _EVIDENCE_FIELDS), signed=body, signature=signature)

    def to_bytes(self) -> bytes:
        """The bytes that it was parsed from."""
        return signed(self.signed, self.signature)


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
        """Parse; ParseError on anything but the canonical encoding."""
        body, signature = _signed(data, CHIP)
        return cls(**_fields(body, CHIP, _CHIP_FIELDS), signed=body, signature=signature)

    def to_bytes(self) -> bytes:
        """The bytes that it was parsed from."""
        return signed(self.signed, self.signature)


def evidence_body(
    *, chip_id: bytes, measurement: bytes, host_data: bytes, report_data: bytes, svn: int, debug: bool
) -> bytes:
    """What is to be signed, behind EVIDENCE_LABEL, by the chip's key."""
    fields = {"chip_id": chip_id, "measurement": measurement, "host_data": host_data, "report_data": report_data}
    return encode({"version": VERSION, **fields, "svn": svn, "debug": debug})


def chip_body(*, chip_id: bytes, public_key: bytes, not_before: int, not_after: int) -> bytes:
    """What is to be signed, behind CHIP_LABEL, by the root."""
    fields = {"chip_id": chip_id, "public_key": public_key, "not_before": not_before, "not_after": not_after}
    return encode({"version": VERSION, **fields})


def signed(body: bytes, signature: bytes) -> bytes:
    """Body and signature as they travel."""
    return encode({"body": body, "signature": signature})


def _signed(data: bytes, what: str) -> tuple[bytes, bytes]:
    """Body and signature of a signed value."""
    if len(data) > MAX_SIZE:
        raise ParseError("evidence-size", f"{what}: {len(data)} bytes, at most {MAX_SIZE}", what=what)
    value: Any = decode(data, what)
    match value:
        case {"body": bytes(body), "signature": bytes(signature)} if len(value) == 2:
            if len(signature) == SIGNATURE_SIZE:
                return body, signature
    raise ParseError(
        "evidence-form", f"{what}: wanted a body and a signature of {SIGNATURE_SIZE} bytes, and no more", what=what
    )


def _fields(body: bytes, what: str, wanted: dict[str, int | range | type]) -> dict[str, Any]:
    """The fields of a body, each as `wanted`; the version is checked and left out."""
    value: Any = decode(body, what)
    if not isinstance(value, dict) or set(value) != {"version", *wanted}:
        raise ParseError("evidence-keys", f"{what}: wanted exactly version, {', '.join(wanted)}", what=what)
    version = value.pop("version")
    if type(version) is not int or version != VERSION:
        raise ParseError("evidence-version", f"{what}: another version than {VERSION}", what=what)
    for name, rule in wanted.items():
        if not _fits(value[name], rule):
            raise ParseError("evidence-value", f"{what}: {name} has the wrong type, size or range", what=what)
    return dict(value)


def _fits(value: object, rule: int | range | type) -> bool:
    if isinstance(rule, int):
        return isinstance(value, bytes) and len(value) == rule
    if isinstance(rule, range):
        return type(value) is int and value in rule
    return type(value) is rule
