"""The messages of several owners of data, and the content of a part (docs/spec/contributions.md).

A provider joins a running session with a nonce of its own, verifies the evidence in the Keep's invitation, and seals its part
to a key that the Keep made for it. The Keep confirms the whole part by a signature. If the manifest names recipients, a grant
seals the secret of the output to them. A Keep has this module only with the profile `providers`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any, Self

from enarx.delivery.content import Hash, Parser, Receiver, Trees, broken, exactly
from enarx.delivery.messages import (
    HPKE_PUBLIC_SIZE,
    MAX_TIME,
    SUITE,
    VERSION,
    Message,
    attested,
    expect,
    lp,
    number,
    transcript,
)
from enarx.errors import ParseError
from enarx.formats.package import MAX_ENTRIES, MAX_INDEX, MAX_MANIFEST, Manifest, Node, commit, decode_index
from enarx.formats.sharing import MAX_PART_HEAD, MAX_PARTIES, PartHead, Provider
from enarx.formats.wire import CHUNK, LARGEST, MAX_EVIDENCE, FrameType, encode
from enarx.record import record

ROLE_PROVIDE = "provide"
"""The purpose of the evidence in an invitation."""

OBSERVER = bytes(32)
"""In place of a provider's key in a Join: the sender wants to see evidence and manifest, and provides nothing."""

NOT_SIGNED = bytes(64)
PART_HEADER = struct.Struct(">BI")
"""In clear before a sealed chunk of a part: the provider's index in the manifest, the chunk's number."""


@record()
class Join(Message):
    """A provider's request to be invited: its raw Ed25519 key, and its signature, so that only providers cost evidence."""

    nonce: bytes
    provider: bytes
    package: bytes
    signature: bytes
    SIZES = {"nonce": 32, "provider": 32, "package": 32, "signature": 64}

    def to_bytes(self) -> bytes:
        """Return the canonical encoding of this message."""
        fields = {name: getattr(self, name) for name in self.SIZES}
        return encode({"version": VERSION, "suite": SUITE, **fields})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding."""
        value = cls.fields(data, "suite")
        expect(value.pop("suite"), SUITE, "join", "suite")
        return cls(**value)

    @property
    def signed(self) -> bytes:
        """What the provider signs."""
        return transcript("join", self.nonce, self.provider, self.package)


@record()
class Invitation(Message):
    """The Keep's answer to a Join: evidence that binds the exact Join, a fresh HPKE key, identity key, session and package.

    `request` is the SHA-256 of the Join.
    """

    kind: str
    evidence: bytes
    endorsements: tuple[bytes, ...]
    hpke: bytes
    identity: bytes
    session: bytes
    manifest: bytes
    request: bytes
    SIZES = {
        "evidence": range(1, MAX_EVIDENCE + 1),
        "hpke": HPKE_PUBLIC_SIZE,
        "identity": 32,
        "session": 32,
        "manifest": range(1, MAX_MANIFEST + 1),
        "request": 32,
    }

    def to_bytes(self) -> bytes:
        """Return the canonical encoding of this message."""
        fields = {name: getattr(self, name) for name in self.SIZES}
        return encode({**fields, "version": VERSION, "kind": self.kind, "endorsements": list(self.endorsements)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding."""
        return cls(**attested(cls.fields(data, "kind", "endorsements"), "invitation"))


@record()
class Contribution(Message):
    """A provider's delivery: the sealed keys of its part's stream, their commitment, and its signature over both."""

    provider: bytes
    signature: bytes
    sealed: bytes
    commitment: bytes
    SIZES = {
        "provider": 32,
        "signature": 64,
        "sealed": range(1, LARGEST[FrameType.CONTRIBUTION] - 512),
        "commitment": 32,
    }

    def to_bytes(self) -> bytes:
        """Return the canonical encoding of this message."""
        return encode({"version": VERSION, **{name: getattr(self, name) for name in self.SIZES}})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding."""
        return cls(**cls.fields(data))


@record()
class Contributed(Message):
    """The Keep's confirmation, signed by its identity key, that it has the whole part with this digest."""

    provider: bytes
    digest: bytes
    signature: bytes
    SIZES = {"provider": 32, "digest": 32, "signature": 64}

    def to_bytes(self) -> bytes:
        """Return the canonical encoding of this message."""
        return encode({"version": VERSION, **{name: getattr(self, name) for name in self.SIZES}})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding."""
        return cls(**cls.fields(data))


@record()
class Declined(Message):
    """The Keep's refusal of a Join or a part. It travels in clear, proves nothing, and ends this one attempt at most.

    `request` is the SHA-256 of the Join.
    """

    provider: bytes
    request: bytes
    code: str
    SIZES = {"provider": 32, "request": 32}

    def to_bytes(self) -> bytes:
        """Return the canonical encoding of this message."""
        return encode({"version": VERSION, "provider": self.provider, "request": self.request, "code": self.code})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding."""
        value = cls.fields(data, "code")
        code = value["code"]
        if not isinstance(code, str) or len(code) > 64 or not code.isascii() or not code.replace("-", "").isalnum():
            raise ParseError("declined-code", "declined: wanted a short code", what="declined")
        return cls(**value)


@record()
class Grant(Message):
    """The output's secret, sealed to each recipient, with all that a recipient needs to verify the Keep.

    The messages and the manifest are exact bytes. `sealed` has one entry for each of the manifest's recipients. The identity
    key signs the session, which covers all other fields, and `sealed`.
    """

    challenge: bytes
    attestation: bytes
    manifest: bytes
    commitment: bytes
    time: int
    sealed: tuple[bytes, ...]
    signature: bytes
    SIZES = {
        "challenge": range(1, LARGEST[FrameType.CHALLENGE] + 1),
        "attestation": range(1, LARGEST[FrameType.ATTESTATION] + 1),
        "manifest": range(1, MAX_MANIFEST + 1),
        "commitment": 32,
        "signature": 64,
    }

    def to_bytes(self) -> bytes:
        """Return the canonical encoding of this message."""
        fields = {name: getattr(self, name) for name in self.SIZES}
        return encode({**fields, "version": VERSION, "time": self.time, "sealed": list(self.sealed)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding."""
        value: dict[str, Any] = cls.fields(data, "time", "sealed")
        number(value["time"], MAX_TIME, "grant", "time")
        sealed = value["sealed"]
        if not isinstance(sealed, list) or not 1 <= len(sealed) <= MAX_PARTIES:
            raise ParseError("grant-sealed", f"grant: wanted 1 to {MAX_PARTIES} sealed secrets", what="grant")
        if any(not isinstance(item, bytes) for item in sealed):
            raise ParseError("grant-sealed", "grant: wanted byte strings", what="grant")
        return cls(**{**value, "sealed": tuple(sealed)})


def contribution_binding(*, join: bytes, invitation: bytes, session: bytes, package: bytes, commitment: bytes) -> bytes:
    """Return what a provider signs and HPKE takes as `info`; `join` and `invitation` are the SHA-256 of these messages."""
    header = lp(CHUNK.to_bytes(4, "big"), commitment)
    versions = (VERSION.to_bytes(2, "big"), SUITE.to_bytes(2, "big"))
    return transcript("contribution", *versions, join, invitation, session, package, header)


def contributed_transcript(session: bytes, package: bytes, provider: bytes, digest: bytes) -> bytes:
    """Return what the Keep signs once it has a whole part."""
    return transcript("contributed", session, package, provider, digest)


def grant_info(session: bytes, package: bytes, index: int) -> bytes:
    """Return the HPKE `info` of a grant's entry for the recipient of this index."""
    return transcript("grant", session, package, index.to_bytes(4, "big"))


def grant_transcript(session: bytes, package: bytes, sealed: tuple[bytes, ...]) -> bytes:
    """Return what the Keep signs in a grant."""
    return transcript("granted", session, package, lp(*sealed))


def part_digest(salt: bytes, head: bytes, indexes: list[bytes]) -> bytes:
    """Return the digest of a part: a commitment, under the part's salt, to its head and indexes."""
    return commit(salt, "part", hashlib.sha256(lp(head, *indexes)).digest())


class PartReceiver(Receiver):
    """Parses one part. `head` and `digest` are set once its indexes have been checked."""

    def __init__(self, manifest: Manifest, provider: Provider, *, sha256: Callable[[], Hash] = hashlib.sha256) -> None:
        self._provider = provider
        self.head: PartHead | None = None
        self.digest = b""
        super().__init__(manifest, sha256=sha256)

    def _parse(self) -> Parser:
        size = int.from_bytes((yield from exactly(4)), "big")
        if size > MAX_PART_HEAD:
            raise broken("part-head", f"a head of {size} bytes, at most {MAX_PART_HEAD}")
        raw = yield from exactly(size)
        head = self.head = PartHead.from_bytes(raw, self._manifest, self._provider)
        shares = len(self._manifest.providers)  # so that all parts together stay within the bounds of a package
        if sum(head.index_sizes) > MAX_INDEX // shares:
            raise broken("part-indexes", f"{sum(head.index_sizes)} bytes of indexes, at most {MAX_INDEX // shares}")
        trees: list[list[Node]] = [[] for _ in self._manifest.config.dirs]
        indexes: list[bytes] = []
        for i, index_size in zip(self._manifest.dirs_of(self._provider), head.index_sizes, strict=True):
            indexes.append((yield from exactly(index_size)))
            trees[i] = decode_index(indexes[-1], MAX_ENTRIES // shares - sum(map(len, trees)))
        self.digest = part_digest(head.salt, raw, indexes)
        yield Trees(trees)
        for i, nodes in enumerate(trees):
            for node in nodes:
                yield from self._file(i, node)
