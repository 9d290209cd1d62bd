"""ID blocks: signed by a key whose digest the report then carries, and that key by the author's (AMD 56860, SNP_LAUNCH_FINISH)."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from enarx.errors import UsageError, VerificationError
from enarx.formats.launch.idblock import IdAuth, IdBlock, key_bytes

POLICY = 0x30000
"""A guest's policy: SMT allowed, everything else not (bit 17 is always set)."""


def sign(block: IdBlock, id_key: ec.EllipticCurvePrivateKey, author: ec.EllipticCurvePrivateKey | None) -> IdAuth:
    """What authenticates this block under these keys. UsageError for keys that are not P-384."""
    key = _public(id_key)
    return IdAuth(
        block_signature=_sign(id_key, block.to_bytes()),
        id_key=key,
        id_key_signature=_sign(author, key_bytes(key)) if author else (0, 0),
        author_key=_public(author) if author else (0, 0),
    )


def verify(block: IdBlock, auth: IdAuth) -> None:
    """VerificationError if a signature does not hold; nothing says whose keys they are but their digests."""
    _verify(auth.id_key, auth.block_signature, block.to_bytes(), "ID block")
    if auth.has_author:
        _verify(auth.author_key, auth.id_key_signature, key_bytes(auth.id_key), "ID key")
    elif auth.id_key_signature != (0, 0):
        raise VerificationError("id-auth", "a signature of the ID key, and no author's key to verify it with")


def key_digest(key: tuple[int, int]) -> bytes:
    """SHA-384 of a key as reports carry it (ID_KEY_DIGEST, AUTHOR_KEY_DIGEST)."""
    return hashlib.sha384(key_bytes(key)).digest()


def _public(key: ec.EllipticCurvePrivateKey) -> tuple[int, int]:
    if not isinstance(key.curve, ec.SECP384R1):
        raise UsageError("id-key", f"a key on {key.curve.name}, wanted P-384")
    numbers = key.public_key().public_numbers()
    return numbers.x, numbers.y


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> tuple[int, int]:
    return decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA384())))


def _verify(key: tuple[int, int], signature: tuple[int, int], data: bytes, what: str) -> None:
    try:
        public = ec.EllipticCurvePublicNumbers(*key, ec.SECP384R1()).public_key()
        public.verify(encode_dss_signature(*signature), data, ec.ECDSA(hashes.SHA384()))
    except (InvalidSignature, ValueError) as e:
        raise VerificationError("id-auth", f"the signature of the {what} does not hold") from e


def require_launch(block: IdBlock, measured: bytes) -> None:
    """VerificationError if the block is of another launch."""
    if block.launch_digest != measured:
        raise VerificationError(
            "id-block", f"the ID block is of a launch that measures {block.launch_digest.hex()}, not {measured.hex()}"
        )
