"""TPM attestations as go-tpm-tools writes them (protobuf): the key, quotes by it, and the values of registers.

TCG TPM 2.0 Library, part 2, 11.3.4 (signature), 12.2.4 (public key).
"""

from __future__ import annotations

from typing import Self

from enarx.errors import ParseError
from enarx.formats.evidence.families.tpm import HASHES, MAX_PCRS, SIZES, Quote
from enarx.formats.reader import Reader
from enarx.record import record

RSA, ECC, NULL = 0x0001, 0x0023, 0x0010
RSASSA, ECDSA = 0x0014, 0x0018
CURVES = {0x0003: "secp256r1", 0x0004: "secp384r1"}
RESTRICTED, SIGN = 1 << 16, 1 << 18
KEY, SIGNATURE = "TPM public key", "TPM signature"


@record()
class PublicKey:
    """A TPMT_PUBLIC (part 2, 12.2.4).

    curve       empty for RSA
    numbers     (e, n) for RSA, else the point (x, y)
    restricted  whether the key signs only data that the TPM itself has made
    """

    curve: str
    numbers: tuple[int, int]
    restricted: bool
    signs: bool

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse an RSA or elliptic-curve key whose scheme is RSASSA, ECDSA or unset. ParseError for any other."""
        read = Reader(data, KEY, code="tpm", order="big")
        kind, _, attributes = read.number(2), read.number(2), read.number(4)
        read.sized(2)
        if read.number(2) != NULL:
            raise ParseError("key-form", "an encryption key", what=KEY)
        scheme = read.number(2)
        if scheme not in (RSASSA, ECDSA, NULL):
            raise ParseError("key-form", f"unknown scheme {scheme:#x}", what=KEY)
        if scheme != NULL:
            read.number(2)
        if kind == RSA:
            read.number(2)
            curve, e, n = "", read.number(4) or 65537, int.from_bytes(read.sized(2), "big")
        elif kind == ECC:
            curve = CURVES.get(read.number(2), "")
            if not curve or read.number(2) != NULL:
                raise ParseError("key-form", "unknown curve", what=KEY)
            e, n = int.from_bytes(read.sized(2), "big"), int.from_bytes(read.sized(2), "big")
        else:
            raise ParseError("key-form", f"a key of type {kind:#x}", what=KEY)
        read.end()
        return cls(curve=curve, numbers=(e, n), restricted=bool(attributes & RESTRICTED), signs=bool(attributes & SIGN))


@record()
class Signature:
    """A TPMT_SIGNATURE (part 2, 11.3.4): `value` is the signature for RSASSA, `r` and `s` for ECDSA."""

    scheme: int
    hash: str
    value: bytes
    r: int
    s: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a signature of RSASSA or ECDSA with SHA-2. ParseError for any other."""
        read = Reader(data, SIGNATURE, code="tpm", order="big")
        scheme, name = read.number(2), HASHES.get(read.number(2), "")
        if scheme not in (RSASSA, ECDSA) or name in ("", "sha1"):
            raise ParseError("signature-form", "wanted RSASSA or ECDSA with SHA-2", what=SIGNATURE)
        value, r, s = b"", 0, 0
        if scheme == RSASSA:
            value = read.sized(2)
        else:
            r, s = int.from_bytes(read.sized(2), "big"), int.from_bytes(read.sized(2), "big")
        read.end()
        return cls(scheme=scheme, hash=name, value=value, r=r, s=s)


ATTESTATION = "TPM attestation"
CERTIFICATES = (6, 7)
"""Fields of the message: the key's certificate, and the intermediate ones."""

MAX_CERTIFICATES = 16
MAX_FIELDS = 256
"""Fields of one message: an attestation has about twenty, and one for each certificate."""

MAX_SIZE = 4 << 20


@record()
class Evidence:
    """An attestation as go-tpm-tools writes it (protobuf).

    certificates      those of the key and its issuers in DER, the key's own first; may be empty
    quote, signature  of the strongest bank that the attestation has
    pcrs              the registers as (index, value)
    """

    key: PublicKey
    key_bytes: bytes
    certificates: tuple[bytes, ...]
    quote: Quote
    signature: Signature
    pcrs: tuple[tuple[int, bytes], ...]
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse an attestation with a quote of SHA-256, SHA-384 or SHA-512. ParseError for any other."""
        if len(data) > MAX_SIZE:
            raise ParseError("attestation-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=ATTESTATION)
        fields = _fields(data)
        keys = [value for number, value in fields if number == 1 and isinstance(value, bytes)]
        if len(keys) != 1:
            raise ParseError("attestation-key", f"{len(keys)} keys, wanted one", what=ATTESTATION)
        certificates = tuple(v for wanted in CERTIFICATES for n, v in fields if n == wanted and isinstance(v, bytes))
        if len(certificates) > MAX_CERTIFICATES:
            message = f"{len(certificates)} certificates, at most {MAX_CERTIFICATES}"
            raise ParseError("attestation-certificates", message, what=ATTESTATION)
        best = _best([value for number, value in fields if number == 2 and isinstance(value, bytes)])
        quote, signature, pcrs = best
        return cls(
            key=PublicKey.from_bytes(keys[0]),
            key_bytes=keys[0],
            certificates=certificates,
            quote=quote,
            signature=Signature.from_bytes(signature),
            pcrs=pcrs,
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """The bytes that the evidence was parsed from."""
        return self.raw

    @property
    def signed(self) -> bytes:
        """The bytes that the key signed, as received."""
        return self.quote.signed


def _best(quotes: list[bytes]) -> tuple[Quote, bytes, tuple[tuple[int, bytes], ...]]:
    """The quote of the strongest bank, its signature, and the values of its registers."""
    parsed = []
    for data in quotes:
        parts = dict(_fields(data))
        message, signature, pcrs = (parts.get(number) for number in (1, 2, 3))
        if not isinstance(message, bytes) or not isinstance(signature, bytes) or not isinstance(pcrs, bytes):
            raise ParseError("attestation-quote", "incomplete quote", what=ATTESTATION)
        made = Quote.from_bytes(message)
        parsed.append((made, signature, _pcrs(pcrs, SIZES[made.bank])))
    strong = [entry for entry in parsed if entry[0].bank != "sha1"]
    if not strong:
        raise ParseError("attestation-quote", "no quote of a SHA-2 bank", what=ATTESTATION)
    return max(strong, key=lambda entry: entry[0].bank)


def _pcrs(data: bytes, size: int) -> tuple[tuple[int, bytes], ...]:
    """Field 2 of the message: a map from index to value. Sizes are checked, as the digest does not say where a value ends."""
    registers: dict[int, bytes] = {}
    for number, value in _fields(data):
        if number == 2 and isinstance(value, bytes):
            entry = dict(_fields(value))
            index, digest = entry.get(1, 0), entry.get(2, b"")
            if not isinstance(index, int) or not isinstance(digest, bytes) or index in registers or index >= MAX_PCRS:
                raise ParseError("attestation-pcrs", "an invalid or duplicate register", what=ATTESTATION)
            if len(digest) != size:
                raise ParseError(
                    "attestation-pcrs", f"register {index} of {len(digest)} bytes, wanted {size}", what=ATTESTATION
                )
            registers[index] = digest
    return tuple(sorted(registers.items()))


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """The fields of a protobuf message, as number and value: varints, and bytes with a length."""
    fields: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        if len(fields) == MAX_FIELDS:
            raise ParseError("protobuf", f"over {MAX_FIELDS} fields", what=ATTESTATION, offset=at)
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == 2:
            if value > len(data) - at:
                raise ParseError("protobuf", "truncated field", what=ATTESTATION, offset=at)
            fields.append((tag >> 3, data[at : at + value]))
            at += value
        elif tag & 7 == 0:
            fields.append((tag >> 3, value))
        else:
            raise ParseError("protobuf", "unsupported type of field", what=ATTESTATION, offset=at)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(10):
        if at + i >= len(data):
            break
        value |= (data[at + i] & 0x7F) << 7 * i
        if not data[at + i] & 0x80:
            return value, at + i + 1
    raise ParseError("protobuf", "unterminated number", what=ATTESTATION, offset=at)
