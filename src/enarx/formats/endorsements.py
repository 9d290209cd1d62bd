"""Files of endorsements: DER, PEM, AMD's certificate tables, JSON collateral, Azure's JSON, and bundles.

Each file yields single endorsements. DER and JSON may be encoded in base64. Few files have keys, so `serialization`, which
loads every cipher, is imported where keys are parsed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from enarx.errors import ParseError
from enarx.formats.bundle import FORM, items_of
from enarx.formats.evidence.families.amd import certificate_table
from enarx.record import record

MAX_SIZE = 16 << 20
MAX_PRIVATE = 1 << 10
"""Bytes of a private key. An elliptic-curve key has about a hundred; checking a long RSA key takes very long."""
WHAT = "endorsements"
COLLATERAL = {"tcb_info", "pck_crl", "root_ca_crl"}
"""Keys that identify JSON collateral. A revocation list in it counts even if the rest is missing."""

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_BLOCKS = {
    b"CERTIFICATE": "endorsement",
    b"X509 CRL": "endorsement",
    **dict.fromkeys((b"PUBLIC KEY", b"EC PRIVATE KEY", b"PRIVATE KEY"), "key"),
}
"""A private key stands for its public key: makers of test platforms publish only private ones."""

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_DER_KEY = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)\x30.\x06[\x07\x09]\x2a\x86\x48", re.DOTALL)
"""The beginning of a SubjectPublicKeyInfo of an RSA or elliptic-curve key, which no certificate has."""


@record()
class Given:
    """The content of a file.

    endorsements  certificates and revocation lists in DER, JSON collateral
    keys          public keys in DER. They are data: only keys that the caller names are trusted.
    malformed     what is flaws with each part that cannot be parsed
    """

    endorsements: tuple[bytes, ...] = ()
    keys: tuple[bytes, ...] = ()
    malformed: tuple[str, ...] = ()


def read(data: bytes) -> Given:
    """Parse a file. ParseError if nothing in it can be parsed; a malformed PEM block or bundle item does not affect the others."""
    if len(data) > MAX_SIZE:
        raise ParseError("endorsement-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.lstrip()[:1] in (b"{", b"["):
        return _json(data.strip())
    if b"-----BEGIN " in data:
        return _pem(data)
    if (decoded := _from_base64(data)) is not None:
        return read(decoded)
    if data[:1] == b"\x30":
        return Given(keys=(_key(data),)) if _DER_KEY.match(data) else Given(endorsements=(data,))
    try:
        return Given(endorsements=certificate_table(data))
    except ParseError as e:
        message = f"neither DER, PEM nor JSON, and not a certificate table either: {e.message}"
        raise ParseError("endorsement-form", message, what=WHAT, offset=e.offset) from e


def read_anchors(data: bytes) -> Given:
    """Parse a file of trust anchors: keys and certificates, as DER, PEM or JWK. ParseError.

    Containers that third parties assemble for a verifier (bundles, collateral, certificate tables) are refused.
    """
    if len(data) > MAX_SIZE:
        raise ParseError("endorsement-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
    data = data.removeprefix(b"\xef\xbb\xbf")
    bare = data.strip()
    if (decoded := _from_base64(bare)) is not None:
        bare = decoded
    if bare[:1] in (b"{", b"["):
        value = _object(bare)
        if isinstance(value, dict) and value.get("kty") == "EC":
            return Given(keys=(_jwk(value),))
    elif b"-----BEGIN " in data or bare[:1] == b"\x30":
        return read(data)
    raise ParseError("trust-anchor-form", "neither a key nor a certificate, as DER, PEM or JWK", what=WHAT)


def _from_base64(data: bytes) -> bytes | None:
    """Decode base64 of DER or JSON, which metadata services return; None for anything else."""
    if data[:2] not in (b"MI", b"ey", b"ew"):
        return None
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return None


def _pem(data: bytes) -> Given:
    content: dict[str, list[bytes]] = {"endorsement": [], "key": []}
    flaws: list[str] = []
    blocks = _PEM.findall(data)
    for label, text in blocks:
        try:
            content[_BLOCKS.get(label, "")].append(_block(label, text))
        except ParseError as e:
            flaws.append(e.message)
        except KeyError:
            flaws.append(f"PEM block {label.decode()}: wanted certificates, lists or keys")
    if len(blocks) < (begun := data.count(b"-----BEGIN ")):
        flaws.append(f"{begun - len(blocks)} truncated PEM blocks")
    if not begun:
        flaws.append("no PEM block")
    return _given(content["endorsement"], content["key"], flaws, "endorsement-pem")


def _block(label: bytes, text: bytes) -> bytes:
    """The DER of a PEM block; of a private key, the DER of its public key."""
    try:
        der = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise ParseError("endorsement-pem", "PEM block: not base64", what=WHAT) from None
    if label.endswith(b"PRIVATE KEY"):
        der = _public(der)
    return _key(der) if _BLOCKS.get(label) == "key" else der


def _given(endorsements: list[bytes], keys: list[bytes], flaws: list[str], code: str) -> Given:
    if flaws and not endorsements and not keys:
        raise ParseError(code, flaws[0], what=WHAT)
    return Given(endorsements=tuple(endorsements), keys=tuple(keys), malformed=tuple(flaws))


def _public(der: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

    if len(der) > MAX_PRIVATE:
        raise ParseError("endorsement-key", "private key: too long for an elliptic-curve key", what=WHAT)
    try:
        key = load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise ParseError("endorsement-key", "private key: malformed", what=WHAT) from e
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key(der: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise ParseError("endorsement-key", "public key: malformed", what=WHAT) from e
    return der


def _object(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ParseError("endorsement-json", "not JSON", what=WHAT) from None


def _json(data: bytes) -> Given:
    value = _object(data)
    if isinstance(value, dict) and value.keys() & COLLATERAL:
        return Given(endorsements=(data,))
    if isinstance(value, dict) and isinstance(value.get("vcekCert"), str):
        return _pem(f"{value['vcekCert']}\n{value.get('certificateChain', '')}".encode(errors="replace"))
    if isinstance(value, dict) and value.get("kty") == "EC":
        return Given(keys=(_jwk(value),))
    if isinstance(value, dict) and value.get("enarx") == FORM:
        items, flaws = items_of(value)
        return _given([item.data for item in items], [], flaws, "bundle-item")
    message = "JSON other than collateral, Azure's certificates (THIM), a bundle, or a key (JWK)"
    raise ParseError("endorsement-json", message, what=WHAT)


def _jwk(value: dict[str, object]) -> bytes:
    """An elliptic-curve key of RFC 7518, 6.2.1."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve = _CURVES.get(str(value.get("crv")))
    try:
        if curve is None:
            raise ValueError
        x, y = (int.from_bytes(base64.urlsafe_b64decode(str(value[k]) + "==")) for k in ("x", "y"))
        key = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except (KeyError, ValueError, OverflowError):
        raise ParseError("endorsement-key", "JWK: not a point of P-256, P-384 or P-521", what=WHAT) from None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
