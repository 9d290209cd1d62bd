"""AWS Nitro Enclaves attestation documents.

AWS Nitro Enclaves, "Verifying the root of trust" (attestation_process.md, 2.2: CDDL and lengths).
"""

from __future__ import annotations

from typing import Self

from enarx.errors import ParseError
from enarx.formats.evidence.families.cose import Sign1, decode, sign1
from enarx.formats.fields import Fields
from enarx.record import record

WHAT = "Nitro attestation document"
MAX_SIZE = 64 << 10
MAX_PCRS = 32
MAX_BUNDLE = 16
PCR_SIZES = (32, 48, 64)
CERTIFICATE = range(1, 1025)
FIELDS = {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"}
OPTIONAL = {"public_key": range(1, 1025), "user_data": range(1025), "nonce": range(1025)}
"""Fields that may be null or missing, with their sizes in bytes. AWS's text says 512 for two of them, its device 1024."""


@record()
class Evidence:
    """An attestation document.

    time_ms   unix milliseconds
    pcrs      the registers as (index, value)
    cabundle  certificates in DER, the root first; `certificate` is the document's own
    public_key, user_data, nonce
              empty if null or missing
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
        """Parse a document: a COSE_Sign1 with ES384 and the payload that AWS describes. ParseError for anything else."""
        if len(data) > MAX_SIZE:
            raise ParseError("document-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
        message = sign1(data, WHAT)
        if message.algorithm != "ES384" or len(message.signature) != 96:
            raise _wrong("signature", "wanted ES384")
        document = Fields(decode(message.payload, WHAT), WHAT, code="document")
        if "nitrotpm_pcrs" in document:
            raise _wrong("nitrotpm_pcrs", "a document of a NitroTPM, not of an enclave")
        if not document.names >= FIELDS or document.names - FIELDS - OPTIONAL.keys():
            raise _wrong("payload", f"wanted {', '.join(sorted(FIELDS))}, and of others {', '.join(OPTIONAL)} alone")
        if document.text("digest") != "SHA384":
            raise document.error("digest", "SHA384")
        module_id, time_ms = document.text("module_id", longest=256), document.number("timestamp", 1 << 53)
        if not module_id or not time_ms:
            raise _wrong("payload", "an empty module_id, or a timestamp of 0")
        return cls(
            module_id=module_id,
            time_ms=time_ms,
            pcrs=_pcrs(document),
            certificate=document.binary("certificate", CERTIFICATE),
            cabundle=_bundle(document),
            **{name: _optional(document, name, sizes) for name, sizes in OPTIONAL.items()},
            message=message,
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """The bytes that the evidence was parsed from."""
        return self.raw

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers: the payload and the header, as received."""
        return self.message.signed

    @property
    def time(self) -> int:
        """When the document was made, in unix seconds."""
        return self.time_ms // 1000


def _wrong(field: str, message: str) -> ParseError:
    return ParseError("document-field", f"{field}: {message}", what=WHAT)


def _optional(document: Fields, name: str, sizes: range) -> bytes:
    return b"" if document.get(name) is None else document.binary(name, sizes)


def _pcrs(document: Fields) -> tuple[tuple[int, bytes], ...]:
    pcrs = document.inner("pcrs")
    if not 0 < len(pcrs.names) <= MAX_PCRS:
        raise document.error("pcrs", f"1 to {MAX_PCRS} registers")
    for index in pcrs.names:
        if type(index) is not int or not 0 <= index < MAX_PCRS:
            raise document.error("pcrs", f"registers 0 to {MAX_PCRS - 1}")
    return tuple([(index, pcrs.binary(index, PCR_SIZES)) for index in sorted(pcrs.names)])


def _bundle(document: Fields) -> tuple[bytes, ...]:
    bundle = document.array("cabundle", most=MAX_BUNDLE)
    if not bundle or not all(isinstance(der, bytes) and len(der) in CERTIFICATE for der in bundle):
        raise document.error("cabundle", f"1 to {MAX_BUNDLE} certificates of at most {CERTIFICATE.stop - 1} bytes")
    return tuple(bundle)
