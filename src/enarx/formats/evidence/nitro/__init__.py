"""AWS Nitro Enclaves attestation documents.

AWS Nitro Enclaves, "Verifying the root of trust" (attestation_process.md, 2.2: CDDL and lengths).
"""

from __future__ import annotations

from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.evidence.families.cose import Sign1, decode, sign1
from enarx.record import record

WHAT = "Nitro attestation document"
MAX_SIZE = 64 << 10
MAX_PCRS = 32
PCR_SIZES = (32, 48, 64)
CERTIFICATE = range(1, 1025)
FIELDS = {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"}
OPTIONAL = {"public_key": range(1, 1025), "user_data": range(1025), "nonce": range(1025)}
"""Fields that may be null or missing, with their lengths in bytes; the text says 512 for two of them, the device 1024."""


@record()
class Evidence:
    """One document. `time_ms` is unix milliseconds; `pcrs` are (index, value); certificates are DER, the root first in
    `cabundle`. What is null or missing is empty bytes.
    """

    module_id: str
    time_ms: int
    pcrs: tuple[tuple[int, bytes], ...]
    certificate: bytes
    cabundle: tuple[bytes, ...]
    public_key: bytes
    user_data: bytes
    nonce: bytes
    message: Sign1
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """ParseError for anything but a document: a COSE_Sign1 with ES384 and the payload that AWS describes."""
        if len(data) > MAX_SIZE:
            raise ParseError("document-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
        message = sign1(data, WHAT)
        if message.algorithm != "ES384" or len(message.signature) != 96:
            raise _wrong("signature", "wanted ES384")
        value = decode(message.payload, WHAT)
        if isinstance(value, dict) and "nitrotpm_pcrs" in value:
            raise _wrong("nitrotpm_pcrs", "a document of a NitroTPM, which is no enclave's")
        if not isinstance(value, dict) or not FIELDS <= set(value) <= FIELDS | set(OPTIONAL):
            raise _wrong("payload", "wanted a map of the fields that there are")
        if value["digest"] != "SHA384":
            raise _wrong("digest", "wanted SHA384")
        return cls(
            module_id=_module(value["module_id"]),
            time_ms=_time(value["timestamp"]),
            pcrs=_pcrs(value["pcrs"]),
            certificate=_bytes(value["certificate"], "certificate", CERTIFICATE),
            cabundle=_bundle(value["cabundle"]),
            **{name: _optional(value.get(name), name, sizes) for name, sizes in OPTIONAL.items()},
            message=message,
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """As received."""
        return self.raw

    @property
    def signed(self) -> bytes:
        """What the signature covers: the payload and the header, as received."""
        return self.message.signed

    @property
    def time(self) -> int:
        """The document's own time, unix seconds."""
        return self.time_ms // 1000


def _wrong(field: str, said: str) -> ParseError:
    return ParseError("document-field", f"{field}: {said}", what=WHAT)


def _module(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
        raise _wrong("module_id", "wanted a text")
    return value


def _time(value: object) -> int:
    if type(value) is not int or not 0 < value < 1 << 53:
        raise _wrong("timestamp", "wanted unix milliseconds")
    return value


def _bytes(value: object, field: str, sizes: range) -> bytes:
    if not isinstance(value, bytes) or len(value) not in sizes:
        raise _wrong(field, f"wanted {sizes.start} to {sizes.stop - 1} bytes")
    return value


def _optional(value: object, field: str, sizes: range) -> bytes:
    return b"" if value is None else _bytes(value, field, sizes)


def _pcrs(value: Any) -> tuple[tuple[int, bytes], ...]:
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_PCRS:
        raise _wrong("pcrs", f"wanted 1 to {MAX_PCRS} registers")
    for index, digest in value.items():
        if type(index) is not int or not 0 <= index < MAX_PCRS:
            raise _wrong("pcrs", "an index that is none")
        if not isinstance(digest, bytes) or len(digest) not in PCR_SIZES:
            raise _wrong("pcrs", f"register {index}: wanted {PCR_SIZES} bytes")
    return tuple(sorted(value.items()))


def _bundle(value: Any) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= 16:
        raise _wrong("cabundle", "wanted 1 to 16 certificates")
    return tuple(_bytes(item, "cabundle", CERTIFICATE) for item in value)
