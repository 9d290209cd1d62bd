"""Attaching: stdio to and from a session, and what a run came to (docs/architecture.md, "The flow")."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, Self

from enarx.delivery.reading import Final, OutputOpener
from enarx.delivery.receipt import Receipt
from enarx.delivery.session import (
    MAX_DATA,
    STDERR,
    STDIN,
    STDIN_END,
    STDIN_WINDOW,
    STDOUT,
    STOP,
    Status,
)
from enarx.delivery.tenant import Attachment, Freshness, Session
from enarx.errors import EnarxError, UnavailableError
from enarx.formats.wire import FrameType
from enarx.record import record
from enarx.tenant.delivering import LEAVE, PATIENCE, SILENT, Claim, Delivered, Judge, Mail, Progress, admit, refused
from enarx.tenant.link import Frame, Link


@record()
class Result:
    """What a run came to. `status` is proven: the Keep signed it.

    `lost` is True if the host dropped output. `unproven` are the bytes of stdout and stderr that nothing signed covers:
    those that were dropped, and those around them up to the next checkpoint. `receipt` proves it all to others.
    """

    status: Status
    lost: bool
    unproven: tuple[int, int]
    receipt: Receipt

    @classmethod
    def of(cls, session: Session, output: OutputOpener, final: Final) -> Self:
        """Of a session whose final record has been read."""
        return cls(
            status=final.status,
            lost=output.lost > 0,
            unproven=(output.unproven[STDOUT], output.unproven[STDERR]),
            receipt=Receipt.make(session, final),
        )


class Run:
    """A tenant attached to a session: feeds stdin, gives out stdout and stderr as they come.

    `start` is the number of the first frame to ask the host for. `attached` is set once the Keep has answered,
    `settled` once all of stdin is delivered, and both once the run is over. `output` is what has read the records before
    `start`, if they were read. Use `serve` once.
    """

    def __init__(
        self,
        *,
        link: Link,
        session: Session,
        start: int = 1,
        output: OutputOpener | None = None,
        write: Callable[[int, bytes], None] = lambda kind, data: None,
        stdin: BinaryIO | int | None = None,
        close_stdin: bool = True,
    ) -> None:
        self.link = link
        self.session = session
        self.start = start
        self.output = output
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

    def serve(self) -> Result:
        """Attach, and go on until the final record, or until the host takes no more input.

        DeliveryError if anything does not verify; UnavailableError if the Keep is gone without a final record: then
        there is no result, whatever has been written out.
        """
        self._attachment = Attachment(self.session, nonce=os.urandom(32), output=self.output)
        attach = self._attachment.attach()
        threading.Thread(target=self._feed, args=(attach,), daemon=True, name="enarx-stdin").start()
        try:
            for _, kind, payload in self.link.receive(self.start):
                final = self._take(kind, payload)
                if final is not None:
                    return Result.of(self.session, self._attachment.output, final)
        except UnavailableError:
            if self._failed is None:
                raise
        finally:
            self._done = True
            self.attached.set()
            self.settled.set()
            with self._room:
                self._room.notify_all()
        if self._failed is not None and self._failed.code != "ended":
            raise self._failed
        raise UnavailableError(
            "keep-lost",
            "lost, unproven: the Keep is gone without a final record, so there is no result",
            hint="output shown so far is what the Keep wrote, but not all of it",
        )

    def stop(self) -> None:
        """Ask the Keep to kill the workload, if it still runs; the final record will say that it did.

        That the host does not say whether the frame went through is no error: `serve` sees the end, or that there is none.
        """
        if not self._done:
            try:
                self._send(STOP, 0)
            except UnavailableError as e:
                if e.code not in ("ended", "host-lost"):
                    raise

    def _take(self, kind: FrameType, payload: bytes) -> Final | None:
        if kind is FrameType.REFUSAL:
            raise refused(payload)
        record = self._attachment.receive(kind, payload)
        if record is None:
            if self._attachment.stdin is not None:
                self.attached.set()
                with self._room:
                    self._room.notify_all()
            return None
        if record.kind in (STDOUT, STDERR):
            self.write(record.kind, record.data)
        return record.final

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
            with self._room:
                over = self._room.wait_for(lambda: self._done, LEAVE)  # its end may be about to be read
            if not over and e.code != "ended":
                self.link.close()  # nobody would ever tell a workload that waits for stdin
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


def attest(link: Link, session: Session, judge: Judge, *, start: int, patience: float = PATIENCE) -> None:
    """Have the Keep that runs this session prove itself again: fresh evidence for a nonce of ours, judged.

    `start` is the number of a frame that comes before the answer. Raises what `judge` raises; UnavailableError if no answer
    comes within `patience` seconds.
    """
    freshness = Freshness(session, nonce=os.urandom(32))
    mail = Mail(link, start, FrameType.EVIDENCE)
    try:
        link.send([freshness.request()])
        judge(_evidence(mail, freshness, time.monotonic() + patience))
    finally:
        mail.close()


def _evidence(mail: Mail, freshness: Freshness, deadline: float) -> Claim:
    """The answer to this request, among all else that comes."""
    while (event := mail.take(deadline)) is not None:
        if not isinstance(event, tuple):
            raise event.error or UnavailableError("keep-lost", "the Keep has ended, and gives no evidence")
        answer = freshness.answer(event[2]) if event[1] is FrameType.EVIDENCE else None
        if answer is not None:
            found, report_data = answer
            return Claim(
                kind=found.kind,
                evidence=found.evidence,
                endorsements=found.endorsements,
                report_data=report_data,
            )
        if event[1] is FrameType.EVIDENCE:
            mail.open()
    raise UnavailableError("keep-silent", "the Keep gave no evidence in time", hint=SILENT)


__all__ = [
    "STDERR",
    "STDOUT",
    "Claim",
    "Delivered",
    "Frame",
    "Judge",
    "Progress",
    "Result",
    "Run",
    "admit",
    "attest",
]
