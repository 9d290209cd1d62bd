"""A maker of TPMs, and of Azure's paravisor, that signs whatever is wanted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tests.forge.intel import usage

FRESH = bytes(range(32))
PCRS = tuple(bytes([i]) * 32 for i in range(24))
RESTRICTED_SIGN = 0x00050072


def rsa_key(name: str = "ak") -> rsa.RSAPrivateKey:
    return _rsa_key(name)


@lru_cache
def _rsa_key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@lru_cache
def ec_key(name: str = "ak") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def spki(key: Any) -> bytes:
    found: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def sized(data: bytes) -> bytes:
    return number(len(data), 2) + data


def selection(indexes: Any, bank: int = 0x000B) -> bytes:
    bits = sum(1 << i for i in indexes)
    return number(1, 4) + number(bank, 2) + b"\3" + bits.to_bytes(3, "little")


def quote(
    pcrs: Any = PCRS,
    *,
    magic: int = 0xFF544347,
    kind: int = 0x8018,
    select: bytes | None = None,
    digest: bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    """A TPMS_ATTEST about these registers."""
    values = dict(enumerate(pcrs)) if not isinstance(pcrs, dict) else pcrs
    found = number(magic, 4) + number(kind, 2) + sized(b"signer") + sized(FRESH)
    found += number(1, 8) + number(2, 4) + number(3, 4) + b"\1" + number(0x2020, 8)
    found += selection(values) if select is None else select
    return found + sized(hashlib.sha256(b"".join(values.values())).digest() if digest is None else digest) + tail


def rsa_signature(message: bytes, key: rsa.RSAPrivateKey | None = None) -> bytes:
    return (key or rsa_key()).sign(message, PKCS1v15(), SHA256())


def signature(message: bytes, key: Any = None) -> bytes:
    """A TPMT_SIGNATURE."""
    key = key or rsa_key()
    if isinstance(key, rsa.RSAPrivateKey):
        return number(0x0014, 2) + number(0x000B, 2) + sized(rsa_signature(message, key))
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    return number(0x0018, 2) + number(0x000B, 2) + sized(number(r, 32)) + sized(number(s, 32))


def public(key: Any = None, *, attributes: int = RESTRICTED_SIGN, scheme: bytes | None = None) -> bytes:
    """A TPMT_PUBLIC."""
    key = key or rsa_key()
    numbers = key.public_key().public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        head = number(1, 2) + number(0x000B, 2) + number(attributes, 4) + sized(b"") + number(0x10, 2)
        chosen = number(0x0014, 2) + number(0x000B, 2) if scheme is None else scheme
        return head + chosen + number(2048, 2) + number(0, 4) + sized(number(numbers.n, 256))
    head = number(0x23, 2) + number(0x000B, 2) + number(attributes, 4) + sized(b"") + number(0x10, 2)
    chosen = number(0x0018, 2) + number(0x000B, 2) if scheme is None else scheme
    return head + chosen + number(3, 2) + number(0x10, 2) + sized(number(numbers.x, 32)) + sized(number(numbers.y, 32))


def field(index: int, value: int | bytes) -> bytes:
    """Of protobuf."""
    if isinstance(value, int):
        return varint(index << 3) + varint(value)
    return varint(index << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def one_quote(message: bytes, signed: bytes, pcrs: Any = PCRS) -> bytes:
    values = dict(enumerate(pcrs)) if not isinstance(pcrs, dict) else pcrs
    bank = field(1, 11) + b"".join(field(2, field(1, i) + field(2, value)) for i, value in values.items())
    return field(2, field(1, message) + field(2, signed) + field(3, bank))


def attestation(
    message: bytes | None = None,
    *,
    key: Any = None,
    by: Any = None,
    pcrs: Any = PCRS,
    certificates: tuple[bytes, ...] = (),
    **of_key: Any,
) -> bytes:
    """As go-tpm-tools writes it."""
    message = quote(pcrs) if message is None else message
    found = field(1, public(key, **of_key)) + one_quote(message, signature(message, by or key), pcrs) + field(9, 1)
    return found + b"".join(field(6 if i == 0 else 7, der) for i, der in enumerate(certificates))


NOW = 1_780_000_000


def certificate(
    name: str,
    by: str,
    *,
    key: Any = None,
    signer: Any = None,
    depth: int | None = None,
    start: int = NOW - 1000,
    end: int = NOW + 1000,
    hashed: Any = SHA256,
    odd: bool = False,
    use: str = "2.23.133.8.3",
    lists: bool = True,
) -> bytes:
    """DER of a certificate of `name`'s key, signed with `by`'s; of an authority if it has a depth, with an unknown critical
    extension if it is `odd`."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(by))
        .public_key((key or rsa_key(name)).public_key())
        .serial_number(7)
        .not_valid_before(datetime.fromtimestamp(start, UTC))
        .not_valid_after(datetime.fromtimestamp(end, UTC))
        .add_extension(x509.BasicConstraints(ca=depth is not None, path_length=depth), critical=True)
    )
    if depth is None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(use)]), critical=False)
    if not lists:
        builder = builder.add_extension(usage(certificates=True), critical=True)
    if odd:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"")
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(signer or rsa_key(by), hashed()).public_bytes(Encoding.DER)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def revoked(
    by: str, *serials: int, signer: Any = None, start: int = NOW - 1000, end: int = NOW + 1000, hashed: Any = SHA256
) -> bytes:
    """DER of a revocation list of `by`'s."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_named(by))
        .last_update(datetime.fromtimestamp(start, UTC))
        .next_update(datetime.fromtimestamp(end, UTC))
    )
    for serial in serials:
        one = x509.RevokedCertificateBuilder().serial_number(serial)
        builder = builder.add_revoked_certificate(one.revocation_date(datetime.fromtimestamp(NOW - 2000, UTC)).build())
    return builder.sign(signer or rsa_key(by), hashed()).public_bytes(Encoding.DER)


@lru_cache
def maker() -> tuple[bytes, ...]:
    """Certificates of the key "ak": its own, that of who certifies it, and the root's."""
    return certificate("ak", "issuer"), certificate("issuer", "root", depth=0), certificate("root", "root", depth=1)
