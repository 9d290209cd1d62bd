"""Private keys that sign launches: ID keys, author keys, keys of enclave images."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from enarx.errors import UsageError


def signing_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The elliptic-curve private key in a PEM text without a password; UsageError."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError("key", "wanted a private key on P-384, PEM without a password")
    return key
