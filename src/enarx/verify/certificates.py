"""What is the same for the certificates of all vendors: reading them, whoever made the bytes."""

from __future__ import annotations

import hashlib
import warnings
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384

ECDSA_SHA384 = ec.ECDSA(SHA384())
UNREADABLE = (
    ValueError,
    TypeError,  # of a name with a BIT STRING in it, for one
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""Everything that `cryptography` raises over bytes that are no certificate, or one that it does not know all of."""


@lru_cache(maxsize=256)
def load(der: bytes) -> x509.Certificate | None:
    """A certificate, None if the bytes are none. Serial number 0, which every VCEK has, is let pass; no list could name one
    below that.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = x509.load_der_x509_certificate(der)
            return found if found.serial_number >= 0 else None
    except UNREADABLE:
        return None


@lru_cache(maxsize=256)
def pin(der: bytes) -> bytes:
    """What a root is pinned by: SHA-256 of the certificate."""
    return hashlib.sha256(der).digest()


def p384_key(der: bytes) -> ec.EllipticCurvePublicKey | None:
    """The key of a certificate, if that is one of P-384."""
    return ec_key(der, "secp384r1")


@lru_cache(maxsize=256)
def ec_key(der: bytes, curve: str) -> ec.EllipticCurvePublicKey | None:
    """The key of a certificate, if that is one of this curve."""
    certificate = load(der)
    try:
        key = certificate.public_key() if certificate else None
    except UNREADABLE:
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == curve else None


def p384_signed(certificate: bytes, signature: bytes, message: bytes) -> bool:
    """Did the certificate's key make the signature (DER) of the message, with SHA-384?"""
    key = p384_key(certificate)
    if key is None:
        return False
    try:
        key.verify(signature, message, ECDSA_SHA384)
    except InvalidSignature:
        return False
    return True
