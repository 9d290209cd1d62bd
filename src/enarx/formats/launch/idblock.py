"""The ID block of an SNP launch and its authentication (AMD 56860, SEV-SNP Firmware ABI, "ID Block", "ID Authentication
Information", and the formats of ECDSA keys and signatures), little-endian.
"""

from __future__ import annotations

from typing import Self

from enarx.formats.reader import Reader
from enarx.record import record

BLOCK, AUTH = "ID block", "ID authentication information"
BLOCK_SIZE, AUTH_SIZE, KEY_SIZE, SIGNATURE_SIZE = 96, 4096, 1028, 512
VERSION = 1
ECDSA_P384_SHA384 = 1
P384 = 2
NUMBER = 72
"""Bytes of each number of a key or signature."""


@record()
class IdBlock:
    """The required launch digest, and the identity that the report will carry."""

    launch_digest: bytes
    family_id: bytes
    image_id: bytes
    guest_svn: int
    policy: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """An ID block of exactly 96 bytes and version 1; ParseError."""
        read = Reader(data, BLOCK, code="id-block")
        digest, family, image = read.take(48), read.take(16), read.take(16)
        version, svn, policy = read.numbers(4, 4, 8)
        read.end()
        if version != VERSION:
            raise read.error("version", f"version {version}, wanted {VERSION}")
        return cls(launch_digest=digest, family_id=family, image_id=image, guest_svn=svn, policy=policy)

    def to_bytes(self) -> bytes:
        """The 96 bytes that the ID key signs."""
        tail = VERSION.to_bytes(4, "little") + self.guest_svn.to_bytes(4, "little") + self.policy.to_bytes(8, "little")
        return self.launch_digest + self.family_id + self.image_id + tail


@record()
class IdAuth:
    """Keys (x, y) and signatures (r, s) as numbers. Without an author key, its pairs are (0, 0)."""

    block_signature: tuple[int, int]
    id_key: tuple[int, int]
    id_key_signature: tuple[int, int]
    author_key: tuple[int, int]

    @property
    def has_author(self) -> bool:
        """Whether an author key has signed the ID key."""
        return self.author_key != (0, 0)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Authentication information of exactly 4096 bytes, reserved bytes zero; ParseError."""
        read = Reader(data, AUTH, code="id-auth")
        algorithm, author_algorithm = read.numbers(4, 4)
        read.zeros(56)
        block_signature, id_key = _signature(read), _key(read)
        read.zeros(60)
        id_key_signature, author_key = _signature(read), _key(read, optional=True)
        read.zeros(892)
        read.end()
        known = author_algorithm in (ECDSA_P384_SHA384, 0 if author_key == (0, 0) else ECDSA_P384_SHA384)
        if algorithm != ECDSA_P384_SHA384 or not known:
            raise read.error("algorithm", f"algorithms {algorithm} and {author_algorithm}, wanted {ECDSA_P384_SHA384}")
        return cls(
            block_signature=block_signature, id_key=id_key, id_key_signature=id_key_signature, author_key=author_key
        )

    def to_bytes(self) -> bytes:
        """The 4096 bytes for the launch."""
        author = key_bytes(self.author_key) if self.has_author else bytes(KEY_SIZE)
        algorithms = ECDSA_P384_SHA384.to_bytes(4, "little") * 2
        head = algorithms + bytes(56) + _signature_bytes(self.block_signature) + key_bytes(self.id_key) + bytes(60)
        return head + _signature_bytes(self.id_key_signature) + author + bytes(892)


def key_bytes(key: tuple[int, int]) -> bytes:
    """A P-384 key in the firmware's format; a report contains the digest of these bytes."""
    return P384.to_bytes(4, "little") + _pair(key) + bytes(KEY_SIZE - 4 - 2 * NUMBER)


def _signature_bytes(signature: tuple[int, int]) -> bytes:
    return _pair(signature) + bytes(SIGNATURE_SIZE - 2 * NUMBER)


def _pair(numbers: tuple[int, int]) -> bytes:
    return b"".join(number.to_bytes(NUMBER, "little") for number in numbers)


def _key(read: Reader, *, optional: bool = False) -> tuple[int, int]:
    curve, x, y = read.numbers(4, NUMBER, NUMBER)
    read.zeros(KEY_SIZE - 4 - 2 * NUMBER)
    if curve != P384 and not (optional and (curve, x, y) == (0, 0, 0)):
        raise read.error("curve", f"curve {curve}, wanted {P384} (P-384)")
    return x, y


def _signature(read: Reader) -> tuple[int, int]:
    r, s = read.numbers(NUMBER, NUMBER)
    read.zeros(SIGNATURE_SIZE - 2 * NUMBER)
    return r, s
