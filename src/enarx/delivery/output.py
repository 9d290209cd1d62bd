"""Output records: acceptance, stdout and stderr with running hashes, and how it ended (docs/spec/delivery.md, "Output").

The records are sealed under a key of the session, which the Keep shares with its tenant and with everybody who has the
tenant's session file. What only the Keep can have said is signed by its identity key: that it took the package, the
running hashes at checkpoints, and the final record.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.messages import number as integer
from enarx.delivery.messages import same, transcript
from enarx.delivery.session import BODY, STDERR, STDOUT, Status, open_record, seal_record
from enarx.delivery.suite import derive, verify_signature
from enarx.errors import DeliveryError, ParseError
from enarx.formats.wire import CHUNK, decode, encode
from enarx.record import names, record

HEADER = struct.Struct(">QB")
"""In clear before an output record: its number, and 1 if it is final."""

FINAL, CHECKPOINT, ACCEPTED = 3, 4, 5
"""Kinds of output records beside STDOUT and STDERR."""

PIECE = CHUNK
"""Bytes of a stream between two checkpoints."""

STREAMS = {STDOUT: "stdout", STDERR: "stderr"}
DIGEST = 32
SIGNATURE = 64
MAX_BYTES = 1 << 63
_ACCEPTANCE = struct.Struct(">I64s")
_CHECKPOINT = struct.Struct(">B32s64s")
_STATUS = tuple(name for name in names(Status) if name not in STREAMS.values())
BODY_KEYS = {*_STATUS, *STREAMS.values(), "records", "directories"}


class Chain:
    """The running hash of a stream: D_0 names session and stream, D_{k+1} = SHA-256(D_k | piece k)."""

    def __init__(self, session: bytes, stream: int) -> None:
        self.resume(transcript("output", session, bytes([stream])), 0)

    def resume(self, digest: bytes, offset: int) -> None:
        """Go on from a digest at an offset."""
        self.offset = offset
        self._digest: bytes = digest
        self._sha = hashlib.sha256(digest)

    @property
    def room(self) -> int:
        """Bytes to the end of the piece."""
        return PIECE - self.offset % PIECE

    @property
    def digest(self) -> bytes:
        """The running hash of all bytes up to here."""
        return self._sha.copy().digest() if self.offset % PIECE else self._digest

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        while view:
            piece = view[: self.room]
            view = view[len(piece) :]
            self._sha.update(piece)
            self.offset += len(piece)
            if self.offset % PIECE == 0:
                self.resume(self._sha.digest(), self.offset)


def acceptance_transcript(session: bytes, package: bytes, chunks: int) -> bytes:
    """What the Keep signs when it holds the whole package, which came in so many chunks."""
    return transcript("accepted", session, package, chunks.to_bytes(4, "big"))


def checkpoint_transcript(session: bytes, stream: int, offset: int, digest: bytes) -> bytes:
    """What the Keep signs at a checkpoint."""
    return transcript("checkpoint", session, bytes([stream]), offset.to_bytes(8, "big"), digest)


def final_transcript(session: bytes, package: bytes, body: bytes) -> bytes:
    """What the Keep signs at the end."""
    return transcript("final", session, package, body)


@record()
class Final:
    """How a workload ended and what it wrote: the body that the Keep signed, and its signature.

    `status` carries the numbers of bytes; `digests` are the running hashes of stdout and stderr at their ends, `records`
    is the number of output records before this, `directories` the digests of output directories by their guest paths.
    """

    status: Status
    records: int
    digests: tuple[bytes, bytes]
    directories: tuple[tuple[str, bytes], ...]
    body: bytes
    signature: bytes

    @classmethod
    def make(
        cls,
        status: Status,
        *,
        records: int,
        chains: dict[int, Chain],
        session: bytes,
        package: bytes,
        key: Ed25519PrivateKey,
    ) -> Self:
        """Sign an end."""
        fields: dict[str, Any] = {name: getattr(status, name) for name in _STATUS}
        fields |= {STREAMS[kind]: [chain.offset, chain.digest] for kind, chain in chains.items()}
        body = encode({**fields, "records": records, "directories": {}})
        return cls.from_parts(body, key.sign(final_transcript(session, package, body)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a final record's data; ParseError on anything but the one encoding. The signature is not verified."""
        match decode(data, "final record"):
            case {"body": bytes(body), "signature": bytes(signature), **rest} if not rest:
                return cls.from_parts(body, signature)
        raise ParseError("final-keys", "final record: wanted body and signature", what="final record")

    @classmethod
    def from_parts(cls, body: bytes, signature: bytes) -> Self:
        """Parse a body; ParseError on anything but the one encoding. The signature is not verified."""
        value: Any = decode(body, "final record")
        if not isinstance(value, dict) or set(value) != BODY_KEYS or len(signature) != SIGNATURE:
            raise ParseError("final-keys", "final record: wanted exactly its fields", what="final record")
        ends = [_end(value.pop(name)) for name in STREAMS.values()]
        records = integer(value.pop("records"), MAX_BYTES, "final", "records")
        directories = _directories(value.pop("directories"))
        status = Status.from_fields({**value, "stdout": ends[0][0], "stderr": ends[1][0]})
        return cls(
            status=status,
            records=records,
            digests=(ends[0][1], ends[1][1]),
            directories=directories,
            body=body,
            signature=signature,
        )

    def to_bytes(self) -> bytes:
        """A final record's data."""
        return encode({"body": self.body, "signature": self.signature})

    def verify(self, *, identity: bytes, session: bytes, package: bytes) -> None:
        """The Keep of this identity signed it, for this session and this package; DeliveryError if not."""
        signed = final_transcript(session, package, self.body)
        verify_signature(identity, self.signature, signed, code="final-signature", state="session")


def _end(value: object) -> tuple[int, bytes]:
    """A stream's number of bytes, and its running hash."""
    match value:
        case [int(size), bytes(digest)] if len(digest) == DIGEST:
            return integer(size, MAX_BYTES, "final", "bytes"), digest
    raise ParseError("final-stream", "final record: wanted a stream's bytes and digest", what="final record")


def _directories(value: object) -> tuple[tuple[str, bytes], ...]:
    wrong = not isinstance(value, dict) or any(
        not isinstance(k, str) or not isinstance(v, bytes) or len(v) != DIGEST for k, v in value.items()
    )
    if wrong:
        raise ParseError("final-directories", "final record: wanted digests by path", what="final record")
    return tuple(value.items())  # type: ignore[attr-defined]  # it is a map, as has just been checked


class OutputSealer:
    """The Keep's side: every call returns payloads of OUTPUT frames."""

    def __init__(self, *, secret: bytes, session: bytes, package: bytes, key: Ed25519PrivateKey) -> None:
        self._aead = AESGCM(output_key(secret, session))
        self._session, self._package, self._key = session, package, key
        self._chains = {kind: Chain(session, kind) for kind in STREAMS}
        self.next = 0

    @property
    def totals(self) -> dict[int, int]:
        """Bytes written so far, by stream."""
        return {kind: chain.offset for kind, chain in self._chains.items()}

    def acceptance(self, chunks: int) -> bytes:
        """Record 0: the whole package, in so many chunks, is here and is what the manifest says."""
        signature = self._key.sign(acceptance_transcript(self._session, self._package, chunks))
        return self._record(BODY.pack(ACCEPTED, 0), _ACCEPTANCE.pack(chunks, signature))

    def data(self, kind: int, data: bytes | memoryview) -> list[bytes]:
        """The next bytes of stdout or stderr; a checkpoint follows each full piece."""
        chain, view, payloads = self._chains[kind], memoryview(data), []
        while view:
            part = view[: chain.room]
            view = view[len(part) :]
            payloads.append(self._record(BODY.pack(kind, chain.offset), part))
            chain.update(part)
            if chain.offset % PIECE == 0:
                payloads.append(self._checkpoint(kind, chain))
        return payloads

    def final(self, status: Status) -> list[bytes]:
        """A checkpoint for each part of a piece that has none yet, then the last record."""
        payloads = [self._checkpoint(kind, chain) for kind, chain in self._chains.items() if chain.offset % PIECE]
        end = Final.make(
            status,
            records=self.next,
            chains=self._chains,
            session=self._session,
            package=self._package,
            key=self._key,
        )
        return [*payloads, self._record(BODY.pack(FINAL, 0), end.to_bytes(), final=True)]

    def _checkpoint(self, kind: int, chain: Chain) -> bytes:
        digest = chain.digest
        signature = self._key.sign(checkpoint_transcript(self._session, kind, chain.offset, digest))
        return self._record(BODY.pack(CHECKPOINT, chain.offset), _CHECKPOINT.pack(kind, digest, signature))

    def _record(self, body: bytes, data: bytes | memoryview, *, final: bool = False) -> bytes:
        number, self.next = self.next, self.next + 1
        return seal_record(self._aead, number, final, HEADER.pack(number, final), body, data)


@record(kw_only=False)
class Output:
    """One output record that opened: bytes of a stream at an offset, the Keep's acceptance, a checkpoint, or the end.

    `lost` is the number of records that the host did not give before it.
    """

    kind: int
    offset: int
    data: bytes
    lost: int
    final: Final | None = None

    @property
    def status(self) -> Status | None:
        """How the workload ended, if this is the final record."""
        return self.final.status if self.final is not None else None


class _Stream:
    """What is proven of one stream: up to `since` by checkpoints, but for holes; `whole` until the next hole.

    Part of a piece is only ever the last, and `closed` then is the running hash at its end.
    """

    def __init__(self, session: bytes, kind: int) -> None:
        self.chain = Chain(session, kind)
        self.whole = True
        self.closed = b""
        self.since = self.proven = self.position = 0

    def take(self, offset: int, data: bytes, *, lossy: bool) -> None:
        """Bytes at an offset; there may be a hole before them if records were lost."""
        if offset < self.position or self.closed or (offset > self.position and not lossy):
            raise _forged("record-offset", f"output at {offset}, wanted {self.position}")
        self.whole = self.whole and offset == self.position
        self.position = offset + len(data)
        if self.whole:
            self.chain.update(data)

    def check(self, offset: int, digest: bytes, *, lossy: bool) -> None:
        """The Keep's running hash at an offset: what came since the last is proven, or after a hole what comes from here."""
        if offset < self.position or (offset > self.position and not lossy):
            raise _forged("record-offset", f"a checkpoint at {offset}, wanted {self.position}")
        if self.whole and offset == self.position:
            if not same(digest, self.closed or self.chain.digest):
                raise _forged(
                    "output-forged", "the Keep's running hash is not that of the output that was given for it"
                )
            self.proven += offset - self.since
        else:
            self.chain.resume(digest, offset)
        self.whole, self.position, self.since = True, offset, offset
        self.closed = digest if offset % PIECE else b""

    @property
    def unproven(self) -> int:
        """Bytes up to here that no checkpoint covers, lost ones included."""
        return self.position - self.proven


class OutputOpener:
    """The tenant's side. `unproven` are, by stream, the bytes that nothing signed covers: what the host dropped, and what it
    gave between there and the next checkpoint; until the end also what is still to be covered."""

    def __init__(self, *, secret: bytes, session: bytes, package: bytes, identity: bytes) -> None:
        self._aead = AESGCM(output_key(secret, session))
        self._session, self._package, self._identity = session, package, identity
        self._streams = {kind: _Stream(session, kind) for kind in STREAMS}
        self.next = 0
        self.lost = 0
        self.finished = False

    @property
    def unproven(self) -> dict[int, int]:
        """Bytes that nothing signed covers, by stream."""
        return {kind: stream.unproven for kind, stream in self._streams.items()}

    def open(self, payload: bytes) -> Output:
        """The record in an OUTPUT frame's payload; records only ever come in rising order, and none after the final."""
        if len(payload) < HEADER.size:
            raise DeliveryError("record-size", "an output record is too short", state="session")
        number, final = HEADER.unpack_from(payload)
        if self.finished or number < self.next or final > 1:
            raise DeliveryError(
                "record-order", f"output record {number}, wanted {self.next}: replayed", state="session"
            )
        header, sealed = payload[: HEADER.size], payload[HEADER.size :]
        kind, offset, data = open_record(self._aead, number, bool(final), header, sealed, "session")
        if (kind == FINAL) != bool(final) or (kind == ACCEPTED) != (number == 0 and kind != FINAL):
            raise _forged("record-kind", f"output record {number} is of no kind that has its place there")
        lost = number - self.next
        self.lost += lost
        end = self._take(kind, offset, data, number)
        self.next, self.finished = number + 1, bool(final)
        return Output(kind, offset, data, lost, end)

    def _take(self, kind: int, offset: int, data: bytes, number: int) -> Final | None:
        if kind in self._streams:
            self._streams[kind].take(offset, data, lossy=self.lost > 0)
        elif kind == CHECKPOINT:
            self._checkpoint(offset, data)
        elif kind == ACCEPTED:
            self._acceptance(data)
        elif kind == FINAL:
            return self._final(data, number)
        else:
            raise _forged("record-kind", f"output record {number} is of no known kind")
        return None

    def _acceptance(self, data: bytes) -> None:
        if len(data) != _ACCEPTANCE.size:
            raise _forged("record-size", "an acceptance of another size")
        chunks, signature = _ACCEPTANCE.unpack(data)
        signed = acceptance_transcript(self._session, self._package, chunks)
        verify_signature(self._identity, signature, signed, code="acceptance-signature", state="session")

    def _checkpoint(self, offset: int, data: bytes) -> None:
        stream, digest, signature = _CHECKPOINT.unpack(data) if len(data) == _CHECKPOINT.size else (0, b"", b"")
        if stream not in self._streams:
            raise _forged("checkpoint", "a checkpoint of another size or stream")
        signed = checkpoint_transcript(self._session, stream, offset, digest)
        verify_signature(self._identity, signature, signed, code="checkpoint-signature", state="session")
        self._streams[stream].check(offset, digest, lossy=self.lost > 0)

    def _final(self, data: bytes, number: int) -> Final:
        end = Final.from_bytes(data)
        end.verify(identity=self._identity, session=self._session, package=self._package)
        if end.records != number:
            raise _forged("record-order", f"the final record is number {number}, and says {end.records}")
        for kind, size, digest in zip(STREAMS, (end.status.stdout, end.status.stderr), end.digests, strict=True):
            self._streams[kind].check(size, digest, lossy=self.lost > 0)
        return end


def output_key(secret: bytes, session: bytes) -> bytes:
    """The key of a session's output records."""
    return derive(secret, session, "output")


def _forged(code: str, message: str) -> DeliveryError:
    return DeliveryError(code, message, state="session")
