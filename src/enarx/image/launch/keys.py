"""Keys that sign a launch."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from enarx.errors import UsageError


def signing_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """A private key on an elliptic curve, from PEM without a password. UsageError for anything else."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError("key", "wanted a private key on P-384, PEM without a password")
    return key
