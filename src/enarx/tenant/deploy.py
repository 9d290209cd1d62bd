"""Deploying and attaching: the order of things, from a package to its result (docs/architecture.md, "The flow")."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from enarx.delivery.session import (
    MAX_DATA,
    STDERR,
    STDIN,
    STDIN_END,
    STDIN_WINDOW,
    STDOUT,
    STOP,
    OutputOpener,
    Status,
)
from enarx.delivery.tenant import CHUNK_BUFFER, Admission, Attachment, Session, refusal_code, sealed_frames
from enarx.errors import DeliveryError, EnarxError, UnavailableError
from enarx.formats.wire import FrameType
from enarx.record import record
from enarx.tenant.link import Frame, Link
from enarx.tenant.owners import Owners
from enarx.tenant.package import Package

Progress = Callable[[int, int], None]
"""Bytes sealed so far, and in all."""


@record()
class Claim:
    """What a Keep says of itself, with the report data that its evidence must carry to mean this one exchange."""

    kind: str
    evidence: bytes
    endorsements: tuple[bytes, ...]
    report_data: bytes


Judge = Callable[[Claim], None]
"""Accepts evidence by returning, refuses it by raising; nothing secret is sealed before it has returned."""


def admit(link: Link, package: Package, owners: Owners, judge: Judge, *, progress: Progress | None = None) -> Session:
    """Challenge the Keep behind `link`, have its evidence judged, and deliver. Returns the session.

    Raises what `judge` raises, DeliveryError if the peer breaks the protocol or refuses, UnavailableError if the host
    goes away.
    """
    admission = Admission(manifest=package.manifest, owner_seed=owners.seed, nonce=os.urandom(32))
    link.send([admission.challenge()])
    attestation, report_data = admission.attestation(_first(link))
    judge(
        Claim(
            kind=attestation.kind,
            evidence=attestation.evidence,
            endorsements=attestation.endorsements,
            report_data=report_data,
        )
    )
    delivery, session = admission.delivery(entropy=os.urandom(64), now=int(time.time()))
    try:
        link.send(_sealed(admission, delivery, package, progress), len(delivery) + sealed_frames(package.size))
    except UnavailableError:
        if not _refused_under_seal(link):
            raise
    return session


def _first(link: Link) -> bytes:
    """The Keep's first frame: its attestation."""
    for _, kind, payload in link.receive(0):
        if kind is FrameType.REFUSAL:
            raise _refused(payload)
        if kind is not FrameType.ATTESTATION:
            raise DeliveryError(
                "unexpected-message", f"{kind.name.lower()} instead of an attestation", state="challenged"
            )
        return payload
    raise UnavailableError("keep-lost", "the Keep ended before it attested", hint="the host's log may say why")


def _sealed(
    admission: Admission, delivery: bytes, package: Package, progress: Progress | None
) -> Iterator[bytes | memoryview]:
    yield delivery
    buffer, done, size = bytearray(CHUNK_BUFFER), 0, package.size
    for chunk, final in package.chunks():
        yield admission.chunk(chunk, buffer, final=final)
        done += len(chunk)
        if progress is not None:
            progress(done, size)


def _refused(payload: bytes) -> DeliveryError:
    code = refusal_code(payload)
    return DeliveryError(code, f"the Keep (or the host in its name) refused: {code}", state="refused")


def _refused_under_seal(link: Link) -> bool:
    """The host took no more input: did the Keep say why? In clear: raise it. Under seal: who attaches reads it."""
    for _, kind, payload in link.receive(1):
        if kind is FrameType.REFUSAL:
            raise _refused(payload)
        if kind is FrameType.OUTPUT:
            return True
    return False


@record()
class Result:
    """What a run came to. `status` is proven, it was sealed by the Keep; `lost` is True if the host dropped output."""

    status: Status
    lost: bool


class Run:
    """A tenant attached to a session: feeds stdin, gives out stdout and stderr as they come.

    `start` is the number of the first frame to ask the host for. `attached` is set once the Keep has answered,
    `settled` once all of stdin is delivered, and both once the run is over. Use `serve` once.
    """

    def __init__(
        self,
        *,
        link: Link,
        session: Session,
        start: int = 1,
        write: Callable[[int, bytes], None] = lambda kind, data: None,
        stdin: BinaryIO | int | None = None,
        close_stdin: bool = True,
    ) -> None:
        self.link = link
        self.session = session
        self.start = start
        self.write = write
        self.stdin = stdin
        self.close_stdin = close_stdin
        self.attached = threading.Event()
        self.settled = threading.Event()
        self._room = threading.Condition()
        self._sending = threading.Lock()
        self._attachment: Attachment
        self._failed: EnarxError | None = None
        self._done = False

    def serve(self, *, output: OutputOpener | None = None) -> Result:
        """Attach, and go on until the final record.

        DeliveryError if anything does not verify; UnavailableError if the Keep is gone without a final record: then
        there is no result, whatever has been written out.
        """
        self._attachment = Attachment(self.session, nonce=os.urandom(32), output=output)
        attach = self._attachment.attach()
        threading.Thread(target=self._feed, args=(attach,), daemon=True, name="enarx-stdin").start()
        lost = False
        try:
            for _, kind, payload in self.link.receive(self.start):
                status, dropped = self._take(kind, payload)
                lost = lost or dropped
                if status is not None:
                    return Result(status=status, lost=lost)
        finally:
            self._done = True
            self.attached.set()
            self.settled.set()
            with self._room:
                self._room.notify_all()
        if self._failed is not None and not isinstance(self._failed, UnavailableError):
            raise self._failed
        raise UnavailableError(
            "keep-lost",
            "lost, unproven: the Keep is gone without a final record, so there is no result",
            hint="output shown so far is what the Keep wrote, but not all of it",
        )

    def stop(self) -> None:
        """Ask the Keep to kill the workload, if it still runs; the final record will say that it did.

        That the host reports an end before it has said that the frame went through is no error: `serve` sees which end.
        """
        if not self._done:
            try:
                self._send(STOP, 0)
            except UnavailableError as e:
                if e.code != "ended":
                    raise

    def _take(self, kind: FrameType, payload: bytes) -> tuple[Status | None, bool]:
        if kind is FrameType.REFUSAL:
            raise _refused(payload)
        record = self._attachment.receive(kind, payload)
        if record is None:
            if self._attachment.stdin is not None:
                self.attached.set()
                with self._room:
                    self._room.notify_all()
            return None, False
        if record.status is None:
            self.write(record.kind, record.data)
        return record.status, record.lost > 0

    def _send(self, kind: int, offset: int, data: bytes | memoryview = b"") -> None:
        with self._sending:
            self.link.send([self._attachment.send(kind, offset, data)])

    def _feed(self, attach: bytes) -> None:
        """The sending half, in a thread of its own: attach, then stdin as far as the Keep's window allows."""
        try:
            with self._sending:
                self.link.send([attach])
            offset = self._until(lambda: self._attachment.stdin is not None)
            if offset is None or not self._attachment.stdin_open:
                return
            self._pump(offset)
        except EnarxError as e:
            self._failed = e
        finally:
            self.settled.set()

    def _pump(self, offset: int) -> None:
        while self.stdin is not None:
            data = self._read()
            if not data:
                break
            if not self._has_room(offset + len(data)):
                return
            self._send(STDIN, offset, data)
            offset += len(data)
        if self.close_stdin:
            self._send(STDIN_END, offset)

    def _has_room(self, sent: int) -> bool:
        """Wait until the Keep has taken enough of stdin; False once the run is over."""
        return self._until(lambda: sent - (self._attachment.stdin or 0) <= STDIN_WINDOW) is not None

    def _read(self) -> bytes:
        if isinstance(self.stdin, int):
            return os.read(self.stdin, MAX_DATA)
        assert self.stdin is not None  # _pump has looked
        return self.stdin.read(MAX_DATA)

    def _until(self, condition: Callable[[], bool]) -> int | None:
        """Wait for the Keep; returns its stdin offset, or None once the run is over."""
        with self._room:
            while not condition():
                if self._done:
                    return None
                self._room.wait()
        return self._attachment.stdin


__all__ = ["STDERR", "STDOUT", "Claim", "Frame", "Judge", "Progress", "Result", "Run", "admit"]
