"""The tenant's half of output records: opening them, and verifying what they prove (docs/spec/delivery.md, "Output").

A record that opens comes from a holder of the session's secret, who may be a thief of the session file. Only what the
Keep's identity key signed is proven to come from the Keep.
"""

from __future__ import annotations

from typing import Any, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.messages import number as integer
from enarx.delivery.messages import same
from enarx.delivery.output import (
    ACCEPTANCE,
    ACCEPTED,
    CHAINED,
    CHECKPOINT,
    CHECKPOINT_DATA,
    FILES,
    FINAL,
    HEADER,
    PIECE,
    STATUS,
    STREAMS,
    Chain,
    acceptance_transcript,
    checkpoint_transcript,
    final_transcript,
    output_key,
)
from enarx.delivery.session import Status, open_record
from enarx.delivery.suite import verify_signature
from enarx.errors import DeliveryError, ParseError
from enarx.formats.package import byte_strings
from enarx.formats.wire import FrameType, decode
from enarx.record import record

SEALED = 255
"""In place of the kind of a record that only recipients can open."""

DIGEST = 32
SIGNATURE = 64
MAX_BYTES = 1 << 63
KEYS = {*STATUS, *STREAMS.values(), "records", "directories", "providers"}


@record()
class Final:
    """The final record: how a workload ended and what it wrote.

    `body` is what the Keep signed, and `signature` its signature. From the body come `status`, with the bytes of both
    streams; `digests`, the running hashes of stdout and stderr at their ends; `records`, the number of output records
    before this one; `directories`, the digests of output directories by guest path; and `providers`, the digests of the
    parts that came, by provider's key.
    """

    status: Status
    records: int
    digests: tuple[bytes, bytes]
    directories: tuple[tuple[str, bytes], ...]
    providers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a final record's data; ParseError on anything but the canonical encoding. Does not verify the signature."""
        match decode(data, "final record"):
            case {"body": bytes(body), "signature": bytes(signature), **rest} if not rest:
                return cls.from_parts(body, signature)
        raise ParseError("final-keys", "final record: wanted body and signature", what="final record")

    @classmethod
    def from_parts(cls, body: bytes, signature: bytes) -> Self:
        """Parse a body; ParseError on anything but the canonical encoding. Does not verify the signature."""
        value: Any = decode(body, "final record")
        if not isinstance(value, dict) or set(value) != KEYS or len(signature) != SIGNATURE:
            raise ParseError("final-keys", "final record: wanted exactly its fields", what="final record")
        ends = [_end(value.pop(name)) for name in STREAMS.values()]
        records = integer(value.pop("records"), MAX_BYTES, "final", "records")
        directories = _directories(value.pop("directories"))
        providers = _providers(value.pop("providers"))
        status = Status.from_fields({**value, "stdout": ends[0][0], "stderr": ends[1][0]})
        return cls(
            status=status,
            records=records,
            digests=(ends[0][1], ends[1][1]),
            directories=directories,
            providers=providers,
            body=body,
            signature=signature,
        )

    def verify(self, *, identity: bytes, session: bytes, package: bytes) -> None:
        """Verify that the Keep of this identity signed it, for this session and package; DeliveryError if not."""
        signed = final_transcript(session, package, self.body)
        verify_signature(identity, self.signature, signed, code="final-signature", state="session")


def _end(value: object) -> tuple[int, bytes]:
    """Return a stream's number of bytes and its running hash; ParseError."""
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
    return tuple(value.items())  # type: ignore[attr-defined]  # checked above to be a map


def _providers(value: object) -> tuple[tuple[bytes, bytes], ...]:
    if not isinstance(value, list) or not all(isinstance(v, list) and len(v) == 2 for v in value):
        raise ParseError("final-providers", "final record: wanted pairs of key and digest", what="final record")
    for pair in value:
        byte_strings(pair, DIGEST, "final record")
    return tuple((key, digest) for key, digest in value)


@record(kw_only=False, hidden=("data",))
class Output:
    """One output record that opened: bytes of a stream at an offset, the acceptance, a checkpoint, or the final record.

    `lost` is the number of records before it that the host did not deliver. A record for recipients is `SEALED`, without data.
    """

    kind: int
    offset: int
    data: bytes
    lost: int
    final: Final | None = None

    @property
    def status(self) -> Status | None:
        """How the workload ended; None unless this is the final record."""
        return self.final.status if self.final is not None else None


class _Stream:
    """The verified state of one stream.

    `position` is the offset of the next byte, `since` that of the last checkpoint, and `proven` the number of bytes that
    checkpoints cover. `whole` is whether all bytes since the last checkpoint came. Only the last piece of a stream may be
    short; `closed` is then the running hash at its end.
    """

    def __init__(self, session: bytes, kind: int) -> None:
        self.chain = Chain(session, kind)
        self.whole = True
        self.closed = b""
        self.since = self.proven = self.position = 0

    def take(self, offset: int, data: bytes, *, lossy: bool) -> None:
        """Take bytes at an offset. A hole before them is an error unless records were lost (`lossy`)."""
        if offset < self.position or self.closed or (offset > self.position and not lossy):
            raise _forged("record-offset", f"output at {offset}, wanted {self.position}")
        self.whole = self.whole and offset == self.position
        self.position = offset + len(data)
        if self.whole:
            self.chain.update(data)

    def check(self, offset: int, digest: bytes, *, lossy: bool) -> None:
        """Take the Keep's running hash at an offset.

        It proves all bytes since the last checkpoint. After a hole it proves none, but proof starts again from here.
        """
        if offset < self.position or (offset > self.position and not lossy):
            raise _forged("record-offset", f"a checkpoint at {offset}, wanted {self.position}")
        if self.whole and offset == self.position:
            if not same(digest, self.closed or self.chain.digest):
                raise _forged(
                    "output-forged", "the Keep's running hash does not match the output that the host delivered"
                )
            self.proven += offset - self.since
        else:
            self.chain.resume(digest, offset)
        self.whole, self.position, self.since = True, offset, offset
        self.closed = digest if offset % PIECE else b""

    @property
    def unproven(self) -> int:
        """Bytes so far that no checkpoint covers, including lost ones."""
        return self.position - self.proven


class OutputOpener:
    """Opens and checks the output records of one session.

    `next` is the number of the next record, from `first` on; `lost` the number of records that the host did not deliver; and
    `finished` whether the final record was read. With `granted`, the records may be sealed to recipients from some record
    after the acceptance on: then the end is what the host says.
    """

    def __init__(
        self, *, secret: bytes, session: bytes, package: bytes, identity: bytes, first: int = 0, granted: bool = False
    ) -> None:
        self._aead = AESGCM(output_key(secret, session))
        self._session, self._package, self._identity = session, package, identity
        self._streams = {kind: _Stream(session, kind) for kind in CHAINED}
        self._granted = granted
        self.next = first
        self.lost = 0
        self.finished = False

    @property
    def unproven(self) -> dict[int, int]:
        """Bytes that no signature covers, by stream.

        These are the bytes that the host dropped, and those around them up to the next checkpoint; before the final record
        also those that the next checkpoint is still to cover.
        """
        return {kind: stream.unproven for kind, stream in self._streams.items()}

    def open(self, payload: bytes) -> Output:
        """Open an OUTPUT frame's payload.

        DeliveryError or ParseError if it does not open, is not signed where it must be, or comes out of order: records
        arrive in rising order, and none after the final record. With `granted`, a record that does not open is SEALED.
        """
        if len(payload) < HEADER.size:
            raise DeliveryError("record-size", "an output record is too short", state="session")
        number, final = HEADER.unpack_from(payload)
        if self.finished or number < self.next or final > 1:
            raise DeliveryError(
                "record-order", f"output record {number}, wanted {self.next}: replayed", state="session"
            )
        header, sealed = payload[: HEADER.size], payload[HEADER.size :]
        lost = number - self.next
        try:
            kind, offset, data = open_record(self._aead, number, bool(final), header, sealed, "session")
        except DeliveryError:
            if not self._granted or number == 0:
                raise
            self.next, self.finished = number + 1, bool(final)
            return Output(SEALED, 0, b"", lost)
        if (kind == FINAL) != bool(final) or (kind == ACCEPTED) != (number == 0 and kind != FINAL):
            raise _forged("record-kind", f"output record {number} is of a kind that is not allowed at this place")
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
            raise _forged("record-kind", f"output record {number} is of unknown kind")
        return None

    def _acceptance(self, data: bytes) -> None:
        if len(data) != ACCEPTANCE.size:
            raise _forged("record-size", "an acceptance of wrong size")
        chunks, signature = ACCEPTANCE.unpack(data)
        signed = acceptance_transcript(self._session, self._package, chunks)
        verify_signature(self._identity, signature, signed, code="acceptance-signature", state="session")

    def _checkpoint(self, offset: int, data: bytes) -> None:
        stream, digest, signature = CHECKPOINT_DATA.unpack(data) if len(data) == CHECKPOINT_DATA.size else (0, b"", b"")
        if stream not in self._streams:
            raise _forged("checkpoint", "a checkpoint of wrong size or stream")
        signed = checkpoint_transcript(self._session, stream, offset, digest)
        verify_signature(self._identity, signature, signed, code="checkpoint-signature", state="session")
        self._streams[stream].check(offset, digest, lossy=self.lost > 0)

    def _final(self, data: bytes, number: int) -> Final:
        end = Final.from_bytes(data)
        end.verify(identity=self._identity, session=self._session, package=self._package)
        if end.records != number:
            raise _forged("record-order", f"the final record is number {number}, but says {end.records}")
        for kind, size, digest in zip(STREAMS, (end.status.stdout, end.status.stderr), end.digests, strict=True):
            self._streams[kind].check(size, digest, lossy=self.lost > 0)
        return end


def require_frame(record: Output, kind: FrameType) -> None:
    """DeliveryError unless a record may travel in a frame of this type. The reader of a sealed record cannot tell."""
    if record.kind not in (CHECKPOINT, SEALED) and (record.kind == FILES) != (kind is FrameType.FILES):
        raise _forged("record-kind", "an output record in a frame of another type")


def _forged(code: str, message: str) -> DeliveryError:
    return DeliveryError(code, message, state="session")
