"""Attach to a session: stdin, stdout and stderr, and the result of a run (docs/architecture.md, "A run, from end to end").

`Run` serves one attached tenant with two threads. The caller's thread reads frames until the final record; a thread of `Run`
attaches and sends stdin. Each reconnects on its own when its connection breaks. Output continues at the next frame, because the
host numbers frames. Stdin continues, under a new attachment, at the offset that the Keep confirms: unconfirmed bytes, at most
STDIN_WINDOW, are kept for that.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Self

from enarx.delivery.output import FILES
from enarx.delivery.reading import Final, OutputOpener
from enarx.delivery.receipt import Receipt
from enarx.delivery.session import (
    STDERR,
    STDIN,
    STDIN_END,
    STDIN_WINDOW,
    STDOUT,
    STOP,
    Status,
)
from enarx.delivery.tenant import Attachment, Freshness, Session
from enarx.errors import DeliveryError, EnarxError, UnavailableError
from enarx.formats.wire import FrameType
from enarx.record import record
from enarx.tenant.delivering import (
    FINAL_CODES,
    FIRST_PAUSE,
    LEAVE,
    LONGEST_PAUSE,
    PATIENCE,
    SILENT,
    TRIES,
    Delivered,
    FrameReader,
    Progress,
    ReceivedEvidence,
    Verifier,
    admit,
    refused,
)
from enarx.tenant.link import Frame, Link
from enarx.tenant.stdin import Stdin, Unconfirmed

STDIN_FAILED = 1.0
"""Seconds for a workload to end by itself after its stdin could not be read: it may not need it."""


@record()
class Result:
    """The outcome of a run. `status` is proven: the Keep signed it.

    `lost` is True if the host dropped output. `unproven` counts the bytes of stdout and stderr that no signature covers:
    those that were dropped, and those around them up to the next checkpoint. `receipt` proves the result to others, and
    `final` is the record that it rests on.
    """

    status: Status
    lost: bool
    unproven: tuple[int, int]
    receipt: Receipt
    final: Final

    @classmethod
    def of(cls, session: Session, output: OutputOpener, final: Final) -> Self:
        """The result of a session whose final record `output` has just opened."""
        return cls(
            status=final.status,
            lost=output.lost > 0,
            unproven=(output.unproven[STDOUT], output.unproven[STDERR]),
            receipt=Receipt.make(session, final),
            final=final,
        )


class Run:
    """A tenant attached to a session: sends stdin, and passes stdout and stderr on as they arrive. Call `serve` once.

    `start` is the number of the first frame to ask the host for; `output` has opened the records before it, if any.
    `write` takes verified bytes with their stream, STDOUT or STDERR. `files` takes bytes of the stream of results, with their
    offset; only the final record proves those. With `close_stdin`, the
    workload's stdin ends where `stdin` ends. With `confirm`, the Keep itself must confirm that end; the host's word does not
    count. `interrupted` is called with each error that broke a connection, before the next try.

    `attached` is set once the Keep has answered, `settled` once all of stdin is delivered (with `confirm`: confirmed), and
    both when the run is over.
    """

    def __init__(
        self,
        *,
        link: Link,
        session: Session,
        start: int = 1,
        output: OutputOpener | None = None,
        write: Callable[[int, bytes], None] = lambda kind, data: None,
        files: Callable[[int, bytes], None] = lambda offset, data: None,
        stdin: Stdin = None,
        close_stdin: bool = True,
        confirm: bool = False,
        interrupted: Callable[[UnavailableError], None] = lambda e: None,
    ) -> None:
        self.link = link
        self.session = session
        self.write = write
        self.files = files
        self.close_stdin = close_stdin
        self.confirm = confirm
        self.interrupted = interrupted
        self.attached = threading.Event()
        self.settled = threading.Event()
        self._next = start
        self._stdin = Unconfirmed(stdin)
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._attachment = Attachment(session, nonce=os.urandom(32), output=output)
        self._failed: Exception | None = None
        self._stopping = False
        self._reached = False
        self._done = False

    def serve(self) -> Result:
        """Attach, and pass output on until the final record.

        DeliveryError if a record does not verify; UnavailableError if the Keep is gone without a final record, or the
        host stays away. There is then no result, even if output was passed on.
        """
        self._start_feeding()
        try:
            final = self._read_to_end()
        except UnavailableError:
            if self._failed is None or (isinstance(self._failed, UnavailableError) and self._failed.code == "ended"):
                raise
            raise self._failed from None
        finally:
            self._done = True
            self.attached.set()
            self.settled.set()
            self._notify()
        return Result.of(self.session, self._attachment.output, final)

    def _read_to_end(self) -> Final:
        """Read to the final record, over as many connections as necessary."""
        broken = 0
        while True:
            before = self._next
            try:
                for number, kind, payload in self.link.receive(self._next):
                    self._next, self._reached = number + 1, True
                    final = self._take(kind, payload)
                    if final is not None:
                        return final
            except UnavailableError as e:
                broken = 1 if self._next > before else broken + 1
                if self._failed is not None or not self._pause(e, broken):
                    raise self._given_up(e) from e
            else:
                raise UnavailableError(
                    "keep-lost",
                    "lost, unproven: the Keep is gone without a final record, so there is no result",
                    hint="output shown so far is what the Keep wrote, but not all of it",
                )

    def settle(self, seconds: float) -> None:
        """Wait until the Keep has confirmed the end of stdin, or the run is over; `serve` has to be running.

        UnavailableError if the Keep does not confirm within `seconds`. Raises the error of the sending thread, if any.
        """
        self.confirm = True
        deadline = time.monotonic() + seconds
        while self.settled.wait(max(0.0, deadline - time.monotonic())):
            if self._done or not self._attachment.stdin_open:
                return
            if self._failed is not None:
                raise self._failed
            self.settled.clear()  # the sending thread ended without waiting for a confirmation
            self._start_feeding()
        raise UnavailableError(
            "stdin-open",
            f"the Keep did not confirm within {seconds:g} s that stdin is closed: its workload may wait for more",
            hint="attach to it again, with an empty stdin",
        )

    def _start_feeding(self) -> None:
        threading.Thread(target=self._feed, daemon=True, name="enarx-stdin").start()

    @property
    def over(self) -> bool:
        """Whether `serve` has returned or raised."""
        return self._done

    def stop(self) -> None:
        """Ask the Keep to kill the workload, if it still runs. The final record then has the cause `stopped`.

        The host need not confirm the request: `serve` sees whether the run ends.
        """
        self._stopping = True
        if (
            not self._done and self._attachment.stdin is not None
        ):  # otherwise the next attachment sends the request first
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        try:
            self._send(STOP, 0)
        except UnavailableError as e:
            if e.code not in ("ended", "host-lost"):
                raise
        except DeliveryError:
            if not self._attachment.output.finished:  # otherwise the run ended before the request arrived
                raise

    def _take(self, kind: FrameType, payload: bytes) -> Final | None:
        if kind is FrameType.REFUSAL:
            raise refused(payload)
        record = self._attachment.receive(kind, payload)
        if record is None:
            if self._attachment.stdin is not None:
                self.attached.set()
                self._notify()
            return None
        if record.kind in (STDOUT, STDERR):
            self.write(record.kind, record.data)
        elif record.kind == FILES:
            self.files(record.offset, record.data)
        return record.final

    def _send(self, kind: int, offset: int, data: bytes | memoryview = b"") -> None:
        with self._sending:
            self.link.send([self._attachment.send(kind, offset, data)])

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _feed(self) -> None:
        """Send stdin; runs in a thread of its own."""
        try:
            self._feed_to_end()
        except Exception as e:  # noqa: BLE001  # reading stdin can raise anything; `serve` raises it again
            self._failed = e
            with self._changed:
                patience = LEAVE if isinstance(e, EnarxError) else STDIN_FAILED
                over = self._changed.wait_for(lambda: self._done, patience)  # the end may be about to be read
            if not over and getattr(e, "code", "") != "ended":
                self.link.close()  # a workload that waits for stdin would wait forever
        finally:
            self.settled.set()

    def _feed_to_end(self) -> None:
        """Attach and send stdin, and again after each broken connection; with `confirm`, until the Keep confirms the end."""
        broken, best = 0, -1
        while not self._done:
            try:
                offset = self._attach()
                if offset is None or not self._attachment.stdin_open:
                    return
                broken, best = 0 if offset > best else broken, max(best, offset)
                self._pump(offset)
                if not self.confirm:
                    return
            except UnavailableError as e:
                broken += 1
                if self._done or not self._pause(e, broken):
                    raise self._given_up(e) from e

    def _pause(self, e: UnavailableError, broken: int) -> bool:
        """Wait before the next connection; False if there should be no other."""
        unreachable = e.code == "host-down" and not self._reached  # it never answered: report that at once
        if unreachable or e.code in FINAL_CODES or broken > TRIES:
            return False
        self.interrupted(e)
        with self._changed:
            self._changed.wait_for(lambda: self._done, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (broken - 1)))
        return True

    def _given_up(self, e: UnavailableError) -> UnavailableError:
        """The error of a run that has lost its host. Whether the Keep still runs is unknown."""
        if e.code in FINAL_CODES or not self._reached:
            return e
        return UnavailableError(e.code, e.message, hint="the Keep may still be running: attach again")

    def _attach(self) -> int | None:
        """Attach anew; returns the offset at which the Keep expects stdin, or None once the run is over."""
        with self._sending:
            self._attachment = Attachment(self.session, nonce=os.urandom(32), output=self._attachment.output)
            self.link.send([self._attachment.attach()])
        offset = self._until(lambda: self._attachment.stdin is not None, PATIENCE)
        if self._stopping and offset is not None:
            self._ask_to_stop()
        return offset

    def _pump(self, offset: int) -> None:
        """Send stdin from `offset` to its end, at most STDIN_WINDOW bytes ahead of the Keep's confirmation."""
        end = offset
        for at, data in self._stdin.rewind(offset):
            end = at + len(data)
            if not self._has_room(end):
                return
            self._send(STDIN, at, data)
        if self.close_stdin:
            self._send(STDIN_END, end)

    def _has_room(self, end: int) -> bool:
        """Wait until the Keep has taken enough of stdin; False once the run is over."""
        taken = self._until(lambda: end - (self._attachment.stdin or 0) <= STDIN_WINDOW)
        if taken is not None:
            self._stdin.confirm(taken)
        return taken is not None

    def _until(self, condition: Callable[[], bool], patience: float | None = None) -> int | None:
        """Wait for the Keep; returns its stdin offset, or None once the run is over. UnavailableError after `patience`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._done or condition(), patience):
                raise UnavailableError("keep-silent", f"the Keep did not answer within {patience:g} s", hint=SILENT)
        return None if self._done else self._attachment.stdin


def attest(link: Link, session: Session, verifier: Verifier, *, start: int, patience: float = PATIENCE) -> None:
    """Ask the Keep of this session for fresh evidence over a new nonce, and have `verifier` verify it.

    `start` is the number of a frame before the answer. Raises what `verifier` raises; UnavailableError if no answer comes
    within `patience` seconds.
    """
    freshness = Freshness(session, nonce=os.urandom(32))
    frames = FrameReader(link, start, FrameType.EVIDENCE)
    try:
        link.send([freshness.request()])
        verifier(_evidence(frames, freshness, time.monotonic() + patience))
    finally:
        frames.close()


def _evidence(frames: FrameReader, freshness: Freshness, deadline: float) -> ReceivedEvidence:
    """The answer to this request; other frames are skipped."""
    while (event := frames.take(deadline)) is not None:
        if not isinstance(event, tuple):
            raise event.error or UnavailableError("keep-lost", "the Keep has ended, and gives no evidence")
        answer = freshness.answer(event[2]) if event[1] is FrameType.EVIDENCE else None
        if answer is not None:
            evidence, report_data = answer
            return ReceivedEvidence(
                kind=evidence.kind,
                evidence=evidence.evidence,
                endorsements=evidence.endorsements,
                report_data=report_data,
            )
        if event[1] is FrameType.EVIDENCE:
            frames.open()
    raise UnavailableError("keep-silent", "the Keep gave no evidence in time", hint=SILENT)


__all__ = [
    "STDERR",
    "STDOUT",
    "Delivered",
    "Frame",
    "Progress",
    "ReceivedEvidence",
    "Result",
    "Run",
    "Stdin",
    "Verifier",
    "admit",
    "attest",
]
