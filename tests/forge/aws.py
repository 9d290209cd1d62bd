"""A vendor of Nitro enclaves that signs whatever is wanted."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = 1_780_000_000
PROTECTED = cbor2.dumps({1: -35})


@lru_cache
def key(name: str, curve: str = "P-384") -> ec.EllipticCurvePrivateKey:
    """One for each name."""
    return ec.generate_private_key(ec.SECP384R1() if curve == "P-384" else ec.SECP256R1())


def certificate(
    name: str,
    by: str,
    *,
    start: int = NOW - 60,
    end: int = NOW + 3600,
    depth: int | None = None,
    authority: bool = True,
    signer: str = "",
    extensions: tuple[x509.ExtensionType, ...] = (),
    **more: Any,
) -> bytes:
    """DER of `name`'s certificate, issued in the name of `by`; signed by the key of `signer` if that is another."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(by))
        .public_key(key(name, **more).public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp(start, UTC))
        .not_valid_after(datetime.fromtimestamp(end, UTC))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=depth if authority else None), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key(signer or by), SHA384()).public_bytes(Encoding.DER)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@lru_cache
def root() -> bytes:
    return certificate("root", "root")


@lru_cache
def zone() -> bytes:
    return certificate("zone", "root", depth=0)


@lru_cache
def leaf() -> bytes:
    return certificate("leaf", "zone", authority=False)


def payload(**changes: Any) -> dict[str, Any]:
    """The fields of a document."""
    fields = {
        "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
        "digest": "SHA384",
        "timestamp": NOW * 1000,
        "pcrs": {i: bytes([i + 1]) * 48 for i in range(16)},
        "certificate": leaf(),
        "cabundle": [root(), zone()],
        "public_key": None,
        "user_data": None,
        "nonce": b"\7" * 32,
    }
    return {**fields, **changes}


def document(fields: dict[str, Any] | None = None, *, by: str = "leaf", tagged: bool = False) -> bytes:
    """A signed document."""
    body = cbor2.dumps(payload() if fields is None else fields)
    return envelope(body, by=by, tagged=tagged)


def envelope(body: bytes, *, by: str = "leaf", protected: bytes = PROTECTED, tagged: bool = False) -> bytes:
    """Any body, signed."""
    signed = cbor2.dumps(["Signature1", protected, b"", body])
    value: Any = [protected, {}, body, _signature(by, signed)]
    return cbor2.dumps(cbor2.CBORTag(18, value) if tagged else value)


@lru_cache(maxsize=256)
def _signature(by: str, message: bytes) -> bytes:
    """Kept, so that a document made twice is the same to the byte."""
    r, s = decode_dss_signature(key(by).sign(message, ec.ECDSA(SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")
