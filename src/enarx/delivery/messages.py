"""The messages of admission and attachment (docs/spec/delivery.md, "Messages").

Each message is a frozen record with exactly one encoding. `from_bytes` raises ParseError on any other bytes, so the
bytes that were hashed or signed have exactly one reading.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
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
"""The purpose of evidence: to admit a delivery, or to prove a running job once more."""

HPKE_PUBLIC_SIZE = 1184 + 32
MAX_ENDORSEMENTS = 16
MAX_TIME = 1 << 40


def lp(*parts: bytes) -> bytes:
    """Return the parts, each preceded by its length as u32 big-endian: no two lists of parts give the same bytes."""
    return b"".join(len(p).to_bytes(4, "big") + p for p in parts)


def transcript(label: str, *parts: bytes) -> bytes:
    """Return the SHA-256 of a label and length-prefixed parts."""
    return hashlib.sha256(lp(b"enarx " + label.encode() + b" v2", *parts)).digest()


def same(a: bytes, b: bytes) -> bool:
    """Return whether two byte strings are equal, in constant time."""
    return hmac.compare_digest(a, b)


def verifier_id(owner: bytes) -> bytes:
    """Return the name of an owner in a Challenge: the SHA-256 of its raw Ed25519 public key."""
    return hashlib.sha256(owner).digest()


class Message:
    """Coding that all messages share: a map with exactly the record's fields, and byte strings of known size.

    `SIZES` has the byte strings, with the size or sizes of each, and `OTHERS` the other fields, each with a function that
    checks a decoded value and returns the field's; a list in the map is a tuple in the record. `FIXED` is what every such
    message carries. It is checked first, because another version may have other fields.
    """

    __slots__ = ()
    FIXED = {"version": VERSION}
    SIZES: dict[str, int | range]
    OTHERS: dict[str, Callable[[Any, str, str], Any]] = {}

    def to_bytes(self) -> bytes:
        """Return the canonical encoding of this message."""
        values = {name: getattr(self, name) for name in (*self.SIZES, *self.OTHERS)}
        return encode(self.FIXED | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding."""
        what = cls.__name__.lower()
        value: Any = decode(data, what)
        if not isinstance(value, dict):
            raise ParseError(f"{what}-keys", f"{what}: wanted a map", what=what)
        for name, wanted in cls.FIXED.items():
            expect(value.pop(name, None), wanted, what, name)
        if set(value) != {*cls.SIZES, *cls.OTHERS}:
            raise ParseError(
                f"{what}-keys", f"{what}: wanted exactly {', '.join((*cls.SIZES, *cls.OTHERS))}", what=what
            )
        for name, size in cls.SIZES.items():
            item = value[name]
            sizes = range(size, size + 1) if isinstance(size, int) else size
            if not isinstance(item, bytes) or len(item) not in sizes:
                got = f"{len(item)} bytes" if isinstance(item, bytes) else type(item).__name__
                raise ParseError(f"{what}-{name}", f"{what}: {name} is {got}, wanted {sizes}", what=what)
        for name, check in cls.OTHERS.items():
            value[name] = check(value[name], what, name)
        return cls(**value)


def expect(value: object, wanted: int, what: str, name: str) -> None:
    """Raise ParseError unless `value` is exactly the integer `wanted`."""
    if type(value) is not int or value != wanted:
        got = value if type(value) is int else type(value).__name__
        raise ParseError(f"{what}-{name}", f"{what}: {name} is {got}, this program speaks {wanted}", what=what)


def number(value: object, limit: int, what: str, name: str) -> int:
    """Return `value`, which must be an integer from 0 to below `limit`; ParseError otherwise."""
    if type(value) is not int or not 0 <= value < limit:
        raise ParseError(f"{what}-{name}", f"{what}: {name} is not an integer from 0 to {limit - 1}", what=what)
    return value


def below(limit: int) -> Callable[[Any, str, str], int]:
    """Return the check of a number from 0 to below `limit`."""
    return lambda value, what, name: number(value, limit, what, name)


def short_text(value: Any, what: str, name: str) -> str:
    """Check the kind of some evidence."""
    if not isinstance(value, str) or not 1 <= len(value) <= 32:
        raise ParseError(f"{what}-{name}", f"{what}: {name} is not a short text", what=what)
    return value


def few_endorsements(value: Any, what: str, name: str) -> tuple[bytes, ...]:
    """Check the endorsements that accompany some evidence."""
    if not isinstance(value, list) or any(not isinstance(e, bytes) for e in value):
        raise ParseError(f"{what}-{name}", f"{what}: wanted a list of byte strings", what=what)
    size = sum(map(len, value))
    if len(value) > MAX_ENDORSEMENTS or size > MAX_ENDORSED:
        got = f"{len(value)} endorsements of {size} bytes, at most {MAX_ENDORSEMENTS} of {MAX_ENDORSED}"
        raise ParseError(f"{what}-{name}", f"{what}: {got}", what=what)
    return tuple(value)


ATTESTED: dict[str, Callable[[Any, str, str], Any]] = {"kind": short_text, "endorsements": few_endorsements}
"""The fields beside the byte strings of a message that carries evidence."""


@record()
class Challenge(Message):
    """A tenant's request that a Keep prove itself, for one package, to one verifier, once."""

    nonce: bytes
    verifier: bytes
    package: bytes
    FIXED = {"version": VERSION, "suite": SUITE}
    SIZES = {"nonce": 32, "verifier": 32, "package": 32}


@record()
class Attestation(Message):
    """The Keep's answer: evidence whose report data binds the exact Challenge and both of its keys."""

    kind: str
    evidence: bytes
    endorsements: tuple[bytes, ...]
    hpke: bytes
    identity: bytes
    challenge: bytes
    SIZES = {"evidence": range(1, MAX_EVIDENCE + 1), "hpke": HPKE_PUBLIC_SIZE, "identity": 32, "challenge": 32}
    OTHERS = ATTESTED


def report_data(role: str, *parts: bytes) -> bytes:
    """Return the 64 bytes that evidence must carry: SHA-512 over label, role and parts.

    The parts to admit are the exact Challenge bytes, the HPKE key and the identity key; in a session they are the exact
    Attest bytes, session, identity key and package digest.
    """
    return hashlib.sha512(lp(b"enarx report data v2", role.encode(), *parts)).digest()


@record()
class Delivery(Message):
    """An owner's delivery of its package: the manifest in clear, the sealed keys of the stream, the owner's signature.

    `time` is the owner's clock in unix seconds. HPKE authenticates no sender, so the signature covers `commitment`, which
    commits to the sealed keys: it proves who chose them.
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
    OTHERS = {"time": below(MAX_TIME)}


def binding(*, challenge: bytes, attestation: bytes, package: bytes, commitment: bytes, time: int) -> bytes:
    """Return what the owner signs and HPKE takes as `info`, over both exact messages, package and stream header.

    It names the session from then on.
    """
    header = lp(CHUNK.to_bytes(4, "big"), commitment, time.to_bytes(8, "big"))
    digests = (hashlib.sha256(challenge).digest(), hashlib.sha256(attestation).digest())
    return transcript("delivery", VERSION.to_bytes(2, "big"), SUITE.to_bytes(2, "big"), *digests, package, header)


@record()
class _Nonce(Message):
    """A message that carries only a nonce."""

    nonce: bytes
    SIZES = {"nonce": 32}


@record()
class Attach(_Nonce):
    """A tenant's request to attach to the session."""


@record()
class Attached(Message):
    """The Keep's answer to Attach: both nonces, the attachment's number, and a signature by the identity key."""

    nonce: bytes
    keep_nonce: bytes
    number: int
    signature: bytes
    SIZES = {"nonce": 32, "keep_nonce": 32, "signature": 64}
    OTHERS = {"number": below(1 << 32)}


def attach_transcript(session: bytes, nonce: bytes, keep_nonce: bytes, number: int) -> bytes:
    """Return what the Keep signs for an attachment, and derives the attachment's keys from."""
    return transcript("attach", session, nonce, keep_nonce, number.to_bytes(4, "big"))


@record()
class Attest(_Nonce):
    """A request for fresh evidence of the Keep that runs the job. It travels in clear, as does its answer."""


@record()
class Evidence(Message):
    """The answer to Attest. The evidence's report data binds the exact Attest, session, identity key and package.

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
    OTHERS = ATTESTED


def sealed_keys(*, stream: bytes, session: bytes) -> bytes:
    """Return the bytes that HPKE carries: a map, so that later versions can add keys. The commitment covers them."""
    return encode({"stream": stream, "session": session})


def open_keys(data: bytes) -> tuple[bytes, bytes]:
    """Return the stream key and session secret in what HPKE carried; ParseError on unknown keys or other sizes."""
    match decode(data, "delivery keys"):
        case {"stream": bytes(stream), "session": bytes(session), **rest} if not rest:
            if len(stream) == len(session) == 32:
                return stream, session
    raise ParseError("delivery-keys", "delivery keys: wanted stream and session, 32 bytes each", what="delivery keys")
