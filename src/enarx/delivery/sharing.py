"""The messages of several owners of data, and the content of a part (docs/spec/contributions.md).

A provider joins a running session with a nonce of its own, verifies the evidence in the Keep's invitation, and seals its part
to a key that the Keep made for it. The Keep confirms the whole part by a signature. If the manifest names recipients, a grant
seals the secret of the output to them. This is the Keep's half, which parses nothing that a Keep only sends; `contribution` is
that of the other owners. A Keep has this module only with the profile `providers`.
"""

from __future__ import annotations

import hashlib
import struct

from enarx.delivery.content import Parser, Receiver, Trees, broken, exactly
from enarx.delivery.messages import SUITE, VERSION, Message, lp, transcript
from enarx.formats.package import MAX_ENTRIES, MAX_INDEX, Manifest, Node, commit, decode_index
from enarx.formats.sharing import MAX_PART_HEAD, PartHead, Provider
from enarx.formats.wire import CHUNK
from enarx.record import record

ROLE_PROVIDE = "provide"
"""The purpose of the evidence in an invitation."""

OBSERVER = bytes(32)
"""In place of a provider's key in a Join: the sender wants to see evidence and manifest, and provides nothing."""

PART_HEADER = struct.Struct(">BI")
"""In clear before a sealed chunk of a part: the provider's index in the manifest, the chunk's number."""


@record()
class Join(Message):
    """A provider's request to be invited: its raw Ed25519 key, and its signature, so that only providers cost evidence."""

    nonce: bytes
    provider: bytes
    package: bytes
    signature: bytes
    FIXED = {"version": VERSION, "suite": SUITE}
    SIZES = {"nonce": 32, "provider": 32, "package": 32, "signature": 64}

    @property
    def signed(self) -> bytes:
        """The transcript that the provider signs."""
        return transcript("join", self.nonce, self.provider, self.package)


@record()
class Contribution(Message):
    """A provider's delivery: the sealed keys of its part's stream, their commitment, and its signature over both."""

    provider: bytes
    signature: bytes
    sealed: bytes
    commitment: bytes
    SIZES = {"provider": 32, "signature": 64, "sealed": range(1, 2048), "commitment": 32}


def contribution_binding(join: bytes, invitation: bytes, session: bytes, package: bytes, commitment: bytes) -> bytes:
    """Return what a provider signs and HPKE takes as `info`; `join` and `invitation` are the SHA-256 of these messages."""
    versions, header = (VERSION.to_bytes(2, "big"), SUITE.to_bytes(2, "big")), lp(CHUNK.to_bytes(4, "big"), commitment)
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
    """Parses one part. `secrets` and `digest` are set once its head and indexes have been checked."""

    def __init__(self, manifest: Manifest, provider: Provider) -> None:
        self._provider = provider
        self.secrets: tuple[tuple[str, bytes], ...] = ()
        self.digest = b""
        super().__init__(manifest)

    def _parse(self) -> Parser:
        size = int.from_bytes((yield from exactly(4)), "big")
        if size > MAX_PART_HEAD:
            raise broken("content-head", f"a head of {size} bytes, at most {MAX_PART_HEAD}")
        raw = yield from exactly(size)
        head = PartHead.from_bytes(raw, self._manifest, self._provider)
        shares = len(self._manifest.providers)  # all parts together stay within the bounds of a package
        if sum(head.index_sizes) > MAX_INDEX // shares:
            raise broken("content-index", f"{sum(head.index_sizes)} bytes of indexes, at most {MAX_INDEX // shares}")
        trees: list[list[Node]] = [[] for _ in self._manifest.config.dirs]
        indexes: list[bytes] = []
        for i, index_size in zip(self._provider.numbers(self._manifest.config), head.index_sizes, strict=True):
            index = yield from exactly(index_size)
            indexes.append(index)
            trees[i] = decode_index(index, MAX_ENTRIES // shares - sum(map(len, trees)))
        self.secrets, self.digest = head.secrets, part_digest(head.salt, raw, indexes)
        yield Trees(trees)
        for i, node in [(i, node) for i, nodes in enumerate(trees) for node in nodes]:
            yield from self._file(i, node)
