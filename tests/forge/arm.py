"""A maker of CCA platforms that signs whatever is wanted."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROTECTED = cbor2.dumps({1: -35})


@lru_cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    """One for each name."""
    return ec.generate_private_key(ec.SECP384R1())


def spki(name: str) -> bytes:
    return key(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def point(name: str = "realm") -> bytes:
    return key(name).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def cose_key(name: str = "realm", **changes: Any) -> bytes:
    raw = point(name)
    return cbor2.dumps({1: 2, -1: 2, -2: raw[1:49], -3: raw[49:], **changes})


def realm(**changes: Any) -> dict[int, Any]:
    """The realm's claims; c10 changes claim 10."""
    claims = {
        10: bytes(range(64)),
        44235: bytes(64),
        44236: "sha-512",
        44237: point(),
        44238: b"\1" * 32,
        44239: [bytes(32)] * 4,
        44240: "sha-256",
    }
    return claims | {int(name[1:]): value for name, value in changes.items()}


def platform(rak: bytes = b"", **changes: Any) -> dict[int, Any]:
    """The platform's claims."""
    claims = {
        265: "http://arm.com/CCA-SSD/1.0.0",
        10: hashlib.sha256(rak or point()).digest(),
        2396: b"\2" * 32,
        256: b"\1" + b"\3" * 32,
        2401: b"config",
        2395: 0x3003,
        2399: [{1: "BL", 2: b"\4" * 32, 4: "1.0", 5: b"\5" * 32}, {2: b"\6" * 32, 5: b"\7" * 32}],
        2400: "verifier.example",
        2402: "sha-256",
    }
    return claims | {int(name[1:]): value for name, value in changes.items()}


def sign(claims: dict[int, Any], by: str, *, protected: bytes = PROTECTED) -> bytes:
    body = cbor2.dumps(claims)
    signed = cbor2.dumps(["Signature1", protected, b"", body])
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, body, _signature(by, signed)]))


@lru_cache(maxsize=256)
def _signature(by: str, message: bytes) -> bytes:
    """Kept, so that a token made twice is the same to the byte."""
    r, s = decode_dss_signature(key(by).sign(message, ec.ECDSA(SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def token(
    of_platform: dict[int, Any] | None = None,
    of_realm: dict[int, Any] | None = None,
    *,
    platform_by: str = "platform",
    realm_by: str = "realm",
) -> bytes:
    """Both, signed and collected."""
    first = sign(of_platform or platform(), platform_by)
    second = sign(of_realm or realm(), realm_by)
    return cbor2.dumps(cbor2.CBORTag(399, {44234: first, 44241: second}))
