"""The messages of admission and attachment: frozen values, one encoding each (docs/spec/delivery.md, "Messages")."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.package import MAX_MANIFEST
from enarx.formats.wire import CHUNK, MAX_ENDORSED, MAX_EVIDENCE, decode, encode
from enarx.record import record

VERSION = 2
SUITE = 1
"""MLKEM768-X25519 with HKDF-SHA256 and AES-256-GCM for HPKE; AES-256-GCM for streams; Ed25519."""

ROLE_ADMIT = "admit"
ROLE_SESSION = "session"
"""What evidence is given for: to admit a delivery, or to show a running job again."""

HPKE_PUBLIC_SIZE = 1184 + 32
MAX_ENDORSEMENTS = 16
MAX_TIME = 1 << 40


def lp(*parts: bytes) -> bytes:
    """The parts, each behind its length as u32 big-endian: no two lists of parts give the same bytes."""
    return b"".join(len(p).to_bytes(4, "big") + p for p in parts)


def transcript(label: str, *parts: bytes) -> bytes:
    """SHA-256 of a label and length-prefixed parts."""
    return hashlib.sha256(lp(b"enarx " + label.encode() + b" v2", *parts)).digest()


def same(a: bytes, b: bytes) -> bool:
    """Equality in constant time."""
    return hmac.compare_digest(a, b)


def verifier_id(owner: bytes) -> bytes:
    """Who asks: SHA-256 of the owner's raw Ed25519 public key."""
    return hashlib.sha256(owner).digest()


class _Message:
    """What the messages share: a map with exactly the fields of the record, byte strings of known size.

    The version is checked before the keys: what another version holds is not for this one to judge.
    """

    __slots__ = ()
    SIZES: dict[str, int | range]

    @classmethod
    def _fields(cls, data: bytes, *others: str) -> dict[str, Any]:
        what = cls.__name__.lower()
        value: Any = decode(data, what)
        if not isinstance(value, dict):
            raise ParseError(f"{what}-keys", f"{what}: wanted a map", what=what)
        expect(value.pop("version", None), VERSION, what, "version")
        if set(value) != {*cls.SIZES, *others}:
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
        got = value if type(value) is int else type(value).__name__
        raise ParseError(f"{what}-{name}", f"{what}: {name} is {got}, this program knows {wanted}", what=what)


def number(value: object, limit: int, what: str, name: str) -> int:
    """`value` as an integer from 0 to below `limit`."""
    if type(value) is not int or not 0 <= value < limit:
        raise ParseError(f"{what}-{name}", f"{what}: {name} is no integer from 0 to {limit - 1}", what=what)
    return value


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
        value = cls._fields(data, "suite")
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
        return cls(**_attested(cls._fields(data, "kind", "endorsements"), "attestation"))


def _attested(value: dict[str, Any], what: str) -> dict[str, Any]:
    """The fields of a message with evidence in it, its kind and its endorsements checked."""
    kind, endorsements = value["kind"], value["endorsements"]
    if not isinstance(kind, str) or not 1 <= len(kind) <= 32:
        raise ParseError(f"{what}-kind", f"{what}: kind is no short text", what=what)
    if not isinstance(endorsements, list) or any(not isinstance(e, bytes) for e in endorsements):
        raise ParseError(f"{what}-endorsements", f"{what}: wanted a list of byte strings", what=what)
    size = sum(map(len, endorsements))
    if len(endorsements) > MAX_ENDORSEMENTS or size > MAX_ENDORSED:
        raise ParseError(
            f"{what}-endorsements",
            f"{what}: {len(endorsements)} endorsements of {size} bytes, at most {MAX_ENDORSEMENTS} of {MAX_ENDORSED}",
            what=what,
        )
    return {**value, "endorsements": tuple(endorsements)}


def report_data(role: str, *parts: bytes) -> bytes:
    """The 64 bytes that evidence must carry: SHA-512 over label, role and parts.

    To admit: exact Challenge bytes, HPKE key, identity key. In a session: exact Attest bytes, session, identity key,
    package digest.
    """
    return hashlib.sha512(lp(b"enarx report data v2", role.encode(), *parts)).digest()


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
        "manifest": range(1, MAX_MANIFEST + 1),
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
        value = cls._fields(data, "time")
        number(value["time"], MAX_TIME, "delivery", "time")
        return cls(**value)


def binding(*, challenge: bytes, attestation: bytes, package: bytes, commitment: bytes, time: int) -> bytes:
    """What the owner signs and what HPKE takes as `info`: exact bytes of both messages, package, stream header."""
    header = lp(CHUNK.to_bytes(4, "big"), commitment, time.to_bytes(8, "big"))
    digests = (hashlib.sha256(challenge).digest(), hashlib.sha256(attestation).digest())
    return transcript("delivery", VERSION.to_bytes(2, "big"), SUITE.to_bytes(2, "big"), *digests, package, header)


@record()
class _Nonce(_Message):
    """A message of a nonce alone."""

    nonce: bytes
    SIZES = {"nonce": 32}

    def to_bytes(self) -> bytes:
        """Its one encoding."""
        return encode({"version": VERSION, "nonce": self.nonce})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        return cls(**cls._fields(data))


@record()
class Attach(_Nonce):
    """The tenant takes up the session (again)."""


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
        value = cls._fields(data, "number")
        number(value["number"], 1 << 32, "attached", "number")
        return cls(**value)


def attach_transcript(session: bytes, nonce: bytes, keep_nonce: bytes, number: int) -> bytes:
    """What the Keep signs for an attachment, and what the attachment's keys are derived from."""
    return transcript("attach", session, nonce, keep_nonce, number.to_bytes(4, "big"))


@record()
class Attest(_Nonce):
    """Who has the session asks for fresh evidence of the Keep that runs the job. Travels in clear, like its answer."""


@record()
class Evidence(_Message):
    """The answer: evidence whose report data binds the exact Attest, the session, the identity key and the package.

    `request` is the SHA-256 of the Attest.
    """

    kind: str
    evidence: bytes
    endorsements: tuple[bytes, ...]
    session: bytes
    identity: bytes
    package: bytes
    request: bytes
    SIZES = {
        "evidence": range(1, MAX_EVIDENCE + 1),
        "session": 32,
        "identity": 32,
        "package": 32,
        "request": 32,
    }

    def to_bytes(self) -> bytes:
        """Its one encoding."""
        fields = {name: getattr(self, name) for name in self.SIZES}
        return encode({**fields, "version": VERSION, "kind": self.kind, "endorsements": list(self.endorsements)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        return cls(**_attested(cls._fields(data, "kind", "endorsements"), "evidence"))


def sealed_keys(*, stream: bytes, session: bytes) -> bytes:
    """What HPKE carries: a map, so that later keys find a place; the commitment is over exactly these bytes."""
    return encode({"stream": stream, "session": session})


def open_keys(data: bytes) -> tuple[bytes, bytes]:
    """Stream key and session secret of a sealed payload; ParseError on unknown keys or sizes."""
    match decode(data, "delivery keys"):
        case {"stream": bytes(stream), "session": bytes(session), **rest} if not rest:
            if len(stream) == len(session) == 32:
                return stream, session
    raise ParseError("delivery-keys", "delivery keys: wanted stream and session, 32 bytes each", what="delivery keys")
