"""Output records: acceptance, output with running hashes, and the final record (docs/spec/delivery.md, "Output").

The records are sealed under a key of the session. The Keep shares that key with the tenant, and with anyone who has a
copy of the tenant's session file. So the Keep signs, with its identity key, what nobody else may be able to claim: the
acceptance of the package, the running hashes at checkpoints, and the final record. This is the Keep's side; `reading` is
the tenant's.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.messages import transcript
from enarx.delivery.session import BODY, STDERR, STDOUT, Status, seal_record
from enarx.delivery.suite import derive
from enarx.formats.wire import CHUNK, encode
from enarx.record import names

HEADER = struct.Struct(">QB")
"""In clear before an output record: its number, and 1 if it is the final record."""

FINAL, CHECKPOINT, ACCEPTED, FILES = 3, 4, 5, 6
"""Kinds of output records beside STDOUT and STDERR."""

PIECE = CHUNK
"""Bytes of a stream from one checkpoint to the next."""

STREAMS = {STDOUT: "stdout", STDERR: "stderr"}
CHAINED = (*STREAMS, FILES)
"""The streams that have running hashes. FILES carries the content of output directories, and has no end in the final record."""

ACCEPTANCE = struct.Struct(">I64s")
CHECKPOINT_DATA = struct.Struct(">B32s64s")
STATUS = tuple(name for name in names(Status) if name not in STREAMS.values())


class Chain:
    """The running hash of a stream: D_0 names session and stream, D_{k+1} = SHA-256(D_k | piece k)."""

    def __init__(self, session: bytes, stream: int) -> None:
        self.resume(transcript("output", session, bytes([stream])), 0)

    def resume(self, digest: bytes, offset: int) -> None:
        """Continue from a known digest at an offset."""
        self.offset = offset
        self._digest: bytes = digest
        self._sha = hashlib.sha256(digest)

    @property
    def room(self) -> int:
        """Bytes left in the current piece."""
        return PIECE - self.offset % PIECE

    @property
    def digest(self) -> bytes:
        """The running hash of all bytes so far."""
        return self._sha.copy().digest() if self.offset % PIECE else self._digest

    def update(self, data: bytes | memoryview) -> None:
        """Add the next bytes of the stream."""
        view = memoryview(data)
        while view:
            piece = view[: self.room]
            view = view[len(piece) :]
            self._sha.update(piece)
            self.offset += len(piece)
            if self.offset % PIECE == 0:
                self.resume(self._sha.digest(), self.offset)


def acceptance_transcript(session: bytes, package: bytes, chunks: int) -> bytes:
    """Return what the Keep signs once it holds the whole package, which came in `chunks` chunks."""
    return transcript("accepted", session, package, chunks.to_bytes(4, "big"))


def checkpoint_transcript(session: bytes, stream: int, offset: int, digest: bytes) -> bytes:
    """Return what the Keep signs at a checkpoint."""
    return transcript("checkpoint", session, bytes([stream]), offset.to_bytes(8, "big"), digest)


def final_transcript(session: bytes, package: bytes, body: bytes) -> bytes:
    """Return what the Keep signs in the final record."""
    return transcript("final", session, package, body)


def output_key(secret: bytes, session: bytes) -> bytes:
    """Return the key of a session's output records."""
    return derive(secret, session, "output")


class OutputSealer:
    """Seals and signs the output of one session. Its methods return payloads of OUTPUT frames.

    `next` is the number of the next record.
    """

    def __init__(self, *, secret: bytes, session: bytes, package: bytes, key: Ed25519PrivateKey) -> None:
        self._aead = AESGCM(output_key(secret, session))
        self._session, self._package, self._key = session, package, key
        self._chains = {kind: Chain(session, kind) for kind in CHAINED}
        self.next = 0

    @property
    def totals(self) -> dict[int, int]:
        """Bytes written so far, by stream."""
        return {kind: chain.offset for kind, chain in self._chains.items()}

    def acceptance(self, chunks: int) -> bytes:
        """Return record 0: the whole package came, in `chunks` chunks, and is what the manifest says."""
        signature = self._key.sign(acceptance_transcript(self._session, self._package, chunks))
        return self._record(BODY.pack(ACCEPTED, 0), ACCEPTANCE.pack(chunks, signature))

    def data(self, kind: int, data: bytes | memoryview) -> list[bytes]:
        """Return records of the next bytes of a stream, with a checkpoint after each full piece."""
        chain, view, payloads = self._chains[kind], memoryview(data), []
        while view:
            part = view[: chain.room]
            view = view[len(part) :]
            payloads.append(self._record(BODY.pack(kind, chain.offset), part))
            chain.update(part)
            if chain.offset % PIECE == 0:
                payloads.append(self._checkpoint(kind, chain))
        return payloads

    def final(self, status: Status, directories: dict[str, bytes] | None = None) -> list[bytes]:
        """Return a checkpoint for each stream that ends within a piece, then the final record.

        `directories` are the digests of output directories by guest path.
        """
        payloads = [self._checkpoint(kind, chain) for kind, chain in self._chains.items() if chain.offset % PIECE]
        fields: dict[str, Any] = {name: getattr(status, name) for name in STATUS}
        fields |= {STREAMS[kind]: [self._chains[kind].offset, self._chains[kind].digest] for kind in STREAMS}
        body = encode({**fields, "records": self.next, "directories": directories or {}})
        signature = self._key.sign(final_transcript(self._session, self._package, body))
        end = encode({"body": body, "signature": signature})
        return [*payloads, self._record(BODY.pack(FINAL, 0), end, final=True)]

    def _checkpoint(self, kind: int, chain: Chain) -> bytes:
        digest = chain.digest
        signature = self._key.sign(checkpoint_transcript(self._session, kind, chain.offset, digest))
        return self._record(BODY.pack(CHECKPOINT, chain.offset), CHECKPOINT_DATA.pack(kind, digest, signature))

    def _record(self, body: bytes, data: bytes | memoryview, *, final: bool = False) -> bytes:
        number, self.next = self.next, self.next + 1
        return seal_record(self._aead, number, final, HEADER.pack(number, final), body, data)
