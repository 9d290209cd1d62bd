"""ID blocks of SNP launches (AMD 56860, SNP_LAUNCH_FINISH).

An ID key signs the block, and an author key may sign the ID key. Reports carry the digests of both keys.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from enarx.errors import UsageError, VerificationError
from enarx.formats.launch.idblock import IdAuth, IdBlock, key_bytes

POLICY = 0x30000
"""A guest policy that allows SMT and nothing else (bit 17 is always set)."""


def sign(block: IdBlock, id_key: ec.EllipticCurvePrivateKey, author: ec.EllipticCurvePrivateKey | None) -> IdAuth:
    """The authentication information of a block; UsageError unless the keys are on P-384."""
    key = _public(id_key)
    return IdAuth(
        block_signature=_sign(id_key, block.to_bytes()),
        id_key=key,
        id_key_signature=_sign(author, key_bytes(key)) if author else (0, 0),
        author_key=_public(author) if author else (0, 0),
    )


def verify(block: IdBlock, auth: IdAuth) -> None:
    """Require valid signatures; VerificationError. Only the digests of the keys identify their owners."""
    _verify(auth.id_key, auth.block_signature, block.to_bytes(), "ID block")
    if auth.has_author:
        _verify(auth.author_key, auth.id_key_signature, key_bytes(auth.id_key), "ID key")
    elif auth.id_key_signature != (0, 0):
        raise VerificationError("id-auth", "a signature over the ID key without an author key")


def key_digest(key: tuple[int, int]) -> bytes:
    """The digest of a key in reports: SHA-384 (ID_KEY_DIGEST, AUTHOR_KEY_DIGEST)."""
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
        raise VerificationError("id-auth", f"the signature over the {what} is invalid") from e


def require_launch(block: IdBlock, measured: bytes) -> None:
    """Require a block for the launch with the digest `measured`; VerificationError."""
    if block.launch_digest != measured:
        raise VerificationError(
            "id-block", f"the ID block is for launch digest {block.launch_digest.hex()}, not {measured.hex()}"
        )
