"""Delivering: from a package to a Keep that has accepted it under seal (docs/architecture.md, "A run, from end to end").

One thread sends, one reads, and the caller's thread waits for both with a deadline. A host that swallows frames or stops
answering can end a delivery; it cannot make it wait forever.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator

from enarx.delivery.messages import VERSION, Attestation
from enarx.delivery.reading import OutputOpener
from enarx.delivery.tenant import CHUNK_BUFFER, Admission, Session, refusal_code, sealed_frames
from enarx.errors import DeliveryError, ParseError, UnavailableError
from enarx.formats.wire import CHUNK, FrameType
from enarx.record import record
from enarx.tenant.link import Frame, Link
from enarx.tenant.owners import Owners
from enarx.tenant.package import Package

PATIENCE = 60.0
"""Seconds without an answer from the Keep itself after which a delivery ends."""

TRIES = 8
"""Connections in a row that may break without progress between them before a delivery, or a run, ends."""

LONGEST_PAUSE = 5.0
"""Seconds between two tries at most. The first waits FIRST_PAUSE, and each waits twice as long as the one before."""

FIRST_PAUSE = 0.1
LEAVE = 10.0
"""Seconds to wait for the host's answer to a request whose effect the Keep has confirmed already."""

FINAL_CODES = ("ended", "keep-lost", "host-gone", "link-closed")
"""Codes of UnavailableError that another connection cannot help against: the Keep, its host or our own link is gone, or the
workload has first to read what the Keep holds for it."""

AHEAD = 64
"""Frames that are read ahead of the caller at most."""

Progress = Callable[[int, int], None]
"""Called with the bytes sealed so far, and in all."""


@record()
class ReceivedEvidence:
    """Evidence that a Keep sent, not verified yet, and the report data that binds it to this one exchange.

    `kind` is the TEE kind that the Keep names. `report_data` is what the evidence must carry.
    """

    kind: str
    evidence: bytes
    endorsements: tuple[bytes, ...]
    report_data: bytes


Verifier = Callable[[ReceivedEvidence], None]
"""Accepts evidence by returning and refuses it by raising. Nothing secret is sealed before it returns."""


@record()
class Delivered:
    """A session, and where its output continues: at frame `start`, to be opened with `output`.

    `accepted` is False if the Keep refused the package under seal. Frame `start` then is the final record, with the reason.
    """

    session: Session
    start: int
    output: OutputOpener
    accepted: bool


@record(kw_only=False)
class _Broken:
    """A thread ended: the `sending` one or the reading one, with an error, or None if it is done or the Keep has ended."""

    sending: bool
    error: Exception | None


class Mail:
    """The frames of a Keep from number `start` on, read in a thread until a frame of type `last`."""

    def __init__(self, link: Link, start: int, last: FrameType) -> None:
        self._link = link
        self._last = last
        self.events: queue.Queue[Frame | _Broken] = queue.Queue(AHEAD)
        self.next = start
        self.over = False
        self.open()

    def open(self) -> None:
        """Start reading, from the first frame that was not taken yet."""
        threading.Thread(target=self._read, args=(self.next,), daemon=True, name="enarx-mail").start()

    def take(self, deadline: float) -> Frame | _Broken | None:
        """The next event; None at the deadline (monotonic clock), even if events never stop."""
        left = deadline - time.monotonic()
        try:
            event = self.events.get(timeout=left) if left > 0 else None
        except queue.Empty:
            event = None
        if event is None:
            return None
        if not isinstance(event, _Broken):
            self.next = event[0] + 1
        return event

    def close(self) -> None:
        """Stop taking events, and let a reading thread that waits for room end."""
        self.over = True
        while not self.events.empty():
            self.events.get_nowait()

    def _read(self, start: int) -> None:
        error: Exception | None = None
        try:
            for frame in self._link.receive(start):
                self.events.put(frame)
                if self.over or frame[1] is self._last:
                    return
        except Exception as e:  # noqa: BLE001  # the thread that takes the events raises it
            error = e
        if not self.over:
            self.events.put(_Broken(False, error))


def admit(
    link: Link,
    package: Package,
    owners: Owners,
    verifier: Verifier,
    *,
    progress: Progress | None = None,
    opened: Callable[[Session], None] | None = None,
    patience: float = PATIENCE,
) -> Delivered:
    """Challenge the Keep behind `link`, verify its evidence, deliver, and wait until the Keep has accepted the package.

    `opened` is called with the session before any part of the package is sent: from then on the Keep may run it.
    Raises what `verifier` raises, DeliveryError if the peer breaks the protocol or refuses, UnavailableError if the host
    goes away, or if the Keep says nothing for `patience` seconds.
    """
    admission = Admission(manifest=package.manifest, owner_seed=owners.seed, nonce=os.urandom(32))
    link.send([admission.challenge()])
    mail = Mail(link, 0, FrameType.OUTPUT)
    try:
        attestation, report_data = _attested(admission, _first(mail, patience))
        verifier(
            ReceivedEvidence(
                kind=attestation.kind,
                evidence=attestation.evidence,
                endorsements=attestation.endorsements,
                report_data=report_data,
            )
        )
        delivery, session = admission.delivery(entropy=os.urandom(64), now=int(time.time()))
        if opened is not None:
            opened(session)
        return _Delivery(link, admission, package, session, mail, progress, patience).run(delivery)
    finally:
        mail.close()


def _attested(admission: Admission, payload: bytes) -> tuple[Attestation, bytes]:
    try:
        return admission.attestation(payload)
    except ParseError as e:
        raise (_other_version(e.code) if e.code == "attestation-version" else e) from e


def _first(mail: Mail, patience: float) -> bytes:
    """The payload of the Keep's first frame, its attestation. UnavailableError, DeliveryError."""
    event = mail.take(time.monotonic() + patience)
    if event is None:
        raise UnavailableError("keep-silent", f"the Keep did not attest within {patience:g} s", hint=SILENT)
    if isinstance(event, _Broken):
        raise event.error or UnavailableError(
            "keep-lost", "the Keep ended before it attested", hint="the host's log may say why"
        )
    _, kind, payload = event
    if kind is FrameType.REFUSAL:
        raise refused(payload)
    if kind is not FrameType.ATTESTATION:
        message = f"{kind.name.lower()} instead of an attestation"
        raise DeliveryError("unexpected-message", message, state="challenged")
    return payload


SILENT = "the host may be swallowing messages: try again, or another host"


class _Delivery:
    """One delivery, over as many connections as it takes."""

    def __init__(
        self,
        link: Link,
        admission: Admission,
        package: Package,
        session: Session,
        mail: Mail,
        progress: Progress | None,
        patience: float,
    ) -> None:
        self._link = link
        self._admission = admission
        self._package = package
        self._session = session
        self._mail = mail
        self._progress = progress
        self._patience = patience
        self._lock = threading.Lock()  # the admission is used by two threads
        self._broken = 0
        self._sender: threading.Thread

    def run(self, delivery: bytes) -> Delivered:
        """Deliver; returns once the Keep has accepted or refused the package."""
        opener = self._session.opener()
        self._send(delivery)
        deadline = time.monotonic() + self._patience
        while True:
            event = self._mail.take(deadline)
            if event is None:
                raise UnavailableError("delivery-stalled", self._stalled(), hint=SILENT)
            if isinstance(event, _Broken):
                self._reconnect(event)
                continue
            number, kind, payload = event
            if kind is FrameType.REFUSAL:
                raise refused(payload)
            if kind is FrameType.OUTPUT:
                return self._finish(number, payload, opener)
            with self._lock:
                moved = kind is FrameType.RECEIVED and self._admission.received(payload)
                if kind is not FrameType.RECEIVED:
                    self._admission.conversation.step(kind)
            if moved:
                self._broken, deadline = 0, time.monotonic() + self._patience

    def _stalled(self) -> str:
        done = min(self._admission.confirmed * CHUNK, self._package.size)
        return (
            f"no progress for {self._patience:g} s: the Keep has confirmed {done} of {self._package.size} bytes, "
            "and not accepted the package"
        )

    def _finish(self, number: int, payload: bytes, opener: OutputOpener) -> Delivered:
        """Stop sending, and read the outcome from the first output record."""
        with self._lock:
            record = self._admission.outcome(opener, payload)
        self._mail.over = True
        self._sender.join(min(self._patience, LEAVE))
        if record.status is None:
            return Delivered(session=self._session, start=number + 1, output=opener, accepted=True)
        return Delivered(session=self._session, start=number, output=self._session.opener(), accepted=False)

    def _reconnect(self, event: _Broken) -> None:
        """Open another connection for the half that broke. Raises its error if that cannot help."""
        if event.error is None and event.sending:
            return
        if event.error is None:
            raise UnavailableError(
                "keep-lost",
                "lost, unproven: the Keep is gone, and no acceptance of the package came from it",
                hint="the host's log may say why",
            )
        self._broken += 1
        if not isinstance(event.error, UnavailableError) or self._broken > TRIES or event.error.code in FINAL_CODES:
            raise event.error
        time.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._broken - 1)))
        if event.sending:
            with self._lock:
                delivery = self._admission.again()
            self._send(delivery)
        else:
            self._mail.open()

    def _send(self, delivery: bytes) -> None:
        self._sender = threading.Thread(target=self._sending, args=(delivery,), daemon=True, name="enarx-delivery")
        self._sender.start()

    def _sending(self, delivery: bytes) -> None:
        error: Exception | None = None
        try:
            with self._lock:
                start = self._admission.resume()
            size = None if start else len(delivery) + sealed_frames(self._package.size)
            self._link.send(self._sealed(delivery, start), size)
        except Exception as e:  # noqa: BLE001  # the thread that takes the events raises it
            error = e
        if not self._mail.over:
            self._mail.events.put(_Broken(True, error))

    def _sealed(self, delivery: bytes, start: int) -> Iterator[bytes | memoryview]:
        """The Delivery, and the chunks from number `start` on; earlier chunks are read but not sent."""
        yield delivery
        buffer, done, size = bytearray(CHUNK_BUFFER), 0, self._package.size
        for number, (chunk, final) in enumerate(self._package.chunks()):
            done += len(chunk)
            if number < start:
                continue
            with self._lock:
                if self._mail.over:
                    return
                frame = self._admission.chunk(chunk, buffer, final=final)
            yield frame
            if self._progress is not None:
                self._progress(done, size)


def refused(payload: bytes) -> DeliveryError:
    """The error for a refusal in clear, which the host may have made up."""
    code = refusal_code(payload)
    if code.endswith("-version"):
        return _other_version(code)
    return DeliveryError(code, f"the Keep (or the host in its name) refused: {code}", state="refused")


def _other_version(code: str) -> DeliveryError:
    return DeliveryError(
        code,
        f"the Keep speaks another version of the protocol than this program, which speaks version {VERSION}",
        state="refused",
        hint="update the older of the two: Keep and tenant must speak the same version",
    )
