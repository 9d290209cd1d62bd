"""The cryptography of the protocol, in one place: suite 1 (docs/spec/delivery.md, "Suite").

All of it is pyca/cryptography. Keys are made from entropy that the caller provides.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from enarx.delivery.messages import HPKE_PUBLIC_SIZE, transcript
from enarx.errors import DeliveryError

KEY_SIZE = 32
HPKE_SEED_SIZE = 64 + 32
_MLKEM_PUBLIC_SIZE = 1184
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class HpkeKey:
    """A Keep's HPKE key pair, made from 96 bytes of entropy. It opens one delivery and is then dropped."""

    def __init__(self, entropy: bytes) -> None:
        kem = MLKEM768PrivateKey.from_seed_bytes(entropy[:64])
        ecdh = X25519PrivateKey.from_private_bytes(entropy[64:HPKE_SEED_SIZE])
        self._key = MLKEM768X25519PrivateKey(kem, ecdh)
        self.public = kem.public_key().public_bytes_raw() + ecdh.public_key().public_bytes_raw()

    def open(self, sealed: bytes, *, info: bytes) -> bytes:
        """Return the plaintext; DeliveryError if it was sealed for another key or with other `info`."""
        try:
            return _SUITE.decrypt(sealed, self._key, info)
        except (InvalidTag, ValueError) as e:
            raise DeliveryError("unsealable", "the delivery is not sealed for this Keep", state="attested") from e


def hpke_seal(plaintext: bytes, public: bytes, *, info: bytes) -> bytes:
    """Seal for the holder of `public` (1216 bytes: ML-KEM-768, then X25519), bound to `info`.

    DeliveryError if `public` is not a valid key.
    """
    try:
        if len(public) != HPKE_PUBLIC_SIZE:
            raise ValueError("size")
        kem = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_SIZE])
        ecdh = X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC_SIZE:])
        return _SUITE.encrypt(plaintext, MLKEM768X25519PublicKey(kem, ecdh), info)
    except ValueError as e:
        raise DeliveryError("hpke-key", "an HPKE key is not valid", state="challenged") from e


def signing_key(seed: bytes) -> Ed25519PrivateKey:
    """Return the Ed25519 key of a 32-byte seed."""
    return Ed25519PrivateKey.from_private_bytes(seed)


def verify_signature(public: bytes, signature: bytes, message: bytes, *, code: str, state: str) -> None:
    """Verify an Ed25519 signature over `message`; DeliveryError with `code` if it is not valid."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as e:
        raise DeliveryError(code, "the signature is not valid", state=state) from e


def derive(secret: bytes, salt: bytes, label: str) -> bytes:
    """Return a 32-byte key: HKDF-SHA256 of `secret` under `salt`, with a label of this protocol."""
    return HKDF(SHA256(), KEY_SIZE, salt, b"enarx v2 " + label.encode()).derive(secret)


def commit_keys(keys: bytes) -> bytes:
    """Return the commitment to the sealed keys, which the owner signs: AES-GCM alone does not commit to its key."""
    return transcript("delivery keys", keys)
