"""The messages of admission and attachment: frozen values, one encoding each (docs/spec/delivery.md, "Messages")."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.wire import CHUNK, decode, encode
from enarx.record import record

VERSION = 1
SUITE = 1
"""MLKEM768-X25519 with HKDF-SHA256 and AES-256-GCM for HPKE; AES-256-GCM for streams; Ed25519."""

ROLE_ADMIT = "admit"
HPKE_PUBLIC_SIZE = 1184 + 32
MAX_EVIDENCE = 64 << 10
MAX_ENDORSEMENTS = 16


def lp(*parts: bytes) -> bytes:
    """The parts, each behind its length as u32 big-endian: no two lists of parts give the same bytes."""
    return b"".join(len(p).to_bytes(4, "big") + p for p in parts)


def transcript(label: str, *parts: bytes) -> bytes:
    """SHA-256 of a label and length-prefixed parts."""
    return hashlib.sha256(lp(b"enarx " + label.encode() + b" v1", *parts)).digest()


def same(a: bytes, b: bytes) -> bool:
    """Equality in constant time."""
    return hmac.compare_digest(a, b)


def verifier_id(owner: bytes) -> bytes:
    """Who asks: SHA-256 of the owner's raw Ed25519 public key."""
    return hashlib.sha256(owner).digest()


class _Message:
    """What the messages share: a map with exactly the fields of the record, byte strings of known size."""

    __slots__ = ()
    SIZES: dict[str, int | range]

    @classmethod
    def _fields(cls, data: bytes, *others: str) -> dict[str, Any]:
        what = cls.__name__.lower()
        value: Any = decode(data, what)
        if not isinstance(value, dict) or set(value) != {*cls.SIZES, *others}:
            raise ParseError(f"{what}-keys", f"{what}: wanted exactly {', '.join((*cls.SIZES, *others))}", what=what)
        for name, size in cls.SIZES.items():
            item = value[name]
            sizes = range(size, size + 1) if isinstance(size, int) else size
            if not isinstance(item, bytes) or len(item) not in sizes:
                got = f"{len(item)} bytes" if isinstance(item, bytes) else type(item).__name__
                raise ParseError(f"{what}-{name}", f"{what}: {name} is {got}, wanted {sizes}", what=what)
        return value


def expect(value: object, wanted: int, what: str, name: str) -> None:
    """`value` is exactly the integer `wanted`."""
    if type(value) is not int or value != wanted:
        raise ParseError(f"{what}-{name}", f"{what}: {name} is {value!r}, this program knows {wanted}", what=what)


@record()
class Challenge(_Message):
    """The tenant asks a Keep to prove itself, for one package, to one verifier, once."""

    nonce: bytes
    verifier: bytes
    package: bytes
    SIZES = {"nonce": 32, "verifier": 32, "package": 32}

    def to_bytes(self) -> bytes:
        """Its one encoding."""
        fields = {name: getattr(self, name) for name in self.SIZES}
        return encode({"version": VERSION, "suite": SUITE, **fields})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        value = cls._fields(data, "version", "suite")
        expect(value.pop("version"), VERSION, "challenge", "version")
        expect(value.pop("suite"), SUITE, "challenge", "suite")
        return cls(**value)


@record()
class Attestation(_Message):
    """The Keep's answer: evidence whose report data binds the exact Challenge and both of its keys."""

    kind: str
    evidence: bytes
    endorsements: tuple[bytes, ...]
    hpke: bytes
    identity: bytes
    challenge: bytes
    SIZES = {"evidence": range(1, MAX_EVIDENCE + 1), "hpke": HPKE_PUBLIC_SIZE, "identity": 32, "challenge": 32}

    def to_bytes(self) -> bytes:
        """Its one encoding."""
        fields = {name: getattr(self, name) for name in self.SIZES}
        return encode({**fields, "version": VERSION, "kind": self.kind, "endorsements": list(self.endorsements)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        value = cls._fields(data, "version", "kind", "endorsements")
        expect(value.pop("version"), VERSION, "attestation", "version")
        kind, endorsements = value["kind"], value["endorsements"]
        if not isinstance(kind, str) or not 1 <= len(kind) <= 32:
            raise ParseError("attestation-kind", "attestation: kind is no short text", what="attestation")
        bad = not isinstance(endorsements, list) or len(endorsements) > MAX_ENDORSEMENTS
        if bad or any(not isinstance(e, bytes) for e in endorsements):
            raise ParseError("attestation-endorsements", "attestation: wanted a list of bytes", what="attestation")
        return cls(**{**value, "endorsements": tuple(endorsements)})


def report_data(role: str, challenge: bytes, hpke: bytes, identity: bytes) -> bytes:
    """The 64 bytes that evidence must carry: SHA-512 over label, role, exact Challenge bytes, and both public keys."""
    return hashlib.sha512(lp(b"enarx report data v1", role.encode(), challenge, hpke, identity)).digest()


@record()
class Delivery(_Message):
    """An owner gives the Keep its package: the manifest in clear, the keys of the sealed stream, the owner's word.

    `time` is the owner's clock in unix seconds; `commitment` is of the sealed keys, so that the signature, which covers
    it, also says *whose* keys they are: HPKE authenticates no sender.
    """

    manifest: bytes
    owner: bytes
    signature: bytes
    sealed: bytes
    commitment: bytes
    time: int
    SIZES = {
        "manifest": range(1, 1 << 20),
        "owner": 32,
        "signature": 64,
        "sealed": range(1, 4096),
        "commitment": 32,
    }

    def to_bytes(self) -> bytes:
        """Its one encoding."""
        fields = {name: getattr(self, name) for name in self.SIZES}
        return encode({**fields, "version": VERSION, "time": self.time})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        value = cls._fields(data, "version", "time")
        expect(value.pop("version"), VERSION, "delivery", "version")
        if type(value["time"]) is not int or not 0 <= value["time"] < 1 << 40:
            raise ParseError("delivery-time", "delivery: time is no number of seconds", what="delivery")
        return cls(**value)


def binding(*, challenge: bytes, attestation: bytes, package: bytes, commitment: bytes, time: int) -> bytes:
    """What the owner signs and what HPKE takes as `info`: exact bytes of both messages, package, stream header."""
    header = lp(CHUNK.to_bytes(4, "big"), commitment, time.to_bytes(8, "big"))
    digests = (hashlib.sha256(challenge).digest(), hashlib.sha256(attestation).digest())
    return transcript("delivery", VERSION.to_bytes(2, "big"), SUITE.to_bytes(2, "big"), *digests, package, header)


@record()
class Attach(_Message):
    """The tenant takes up the session (again)."""

    nonce: bytes
    SIZES = {"nonce": 32}

    def to_bytes(self) -> bytes:
        """Its one encoding."""
        return encode({"version": VERSION, "nonce": self.nonce})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        value = cls._fields(data, "version")
        expect(value.pop("version"), VERSION, "attach", "version")
        return cls(**value)


@record()
class Attached(_Message):
    """The Keep agrees: the tenant's nonce, its own, the number of this attachment, its identity key's signature."""

    nonce: bytes
    keep_nonce: bytes
    number: int
    signature: bytes
    SIZES = {"nonce": 32, "keep_nonce": 32, "signature": 64}

    def to_bytes(self) -> bytes:
        """Its one encoding."""
        fields = {name: getattr(self, name) for name in self.SIZES}
        return encode({**fields, "version": VERSION, "number": self.number})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        value = cls._fields(data, "version", "number")
        expect(value.pop("version"), VERSION, "attached", "version")
        if type(value["number"]) is not int or not 1 <= value["number"] < 1 << 32:
            raise ParseError("attached-number", "attached: number is out of range", what="attached")
        return cls(**value)


def attach_transcript(session: bytes, nonce: bytes, keep_nonce: bytes, number: int) -> bytes:
    """What the Keep signs for an attachment, and what the attachment's keys are derived from."""
    return transcript("attach", session, nonce, keep_nonce, number.to_bytes(4, "big"))
