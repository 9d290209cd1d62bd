"""Deliver a package to a Keep, until the Keep has accepted it under seal (docs/architecture.md, "A run, from end to end").

`admit` is the entry point. One thread sends, another reads, and the caller's thread waits for both with a deadline. A host that
drops frames or stops answering can end a delivery, but cannot make it wait forever.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator

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
"""Seconds without progress, proven by the Keep, after which a delivery ends."""

TRIES = 8
"""Broken connections in a row, without progress between them, after which a delivery or a run ends."""

LONGEST_PAUSE = 5.0
"""The longest pause between two tries, in seconds. The first pause is FIRST_PAUSE, and each further pause is twice as long."""

FIRST_PAUSE = 0.1
LEAVE = 10.0
"""Seconds to wait for the host's answer to a request whose effect the Keep has confirmed already."""

FINAL_CODES = ("ended", "keep-lost", "host-gone", "link-closed", "results-sealed")
"""Codes of UnavailableError after which another connection is pointless: the Keep, its host or our own link is gone, or the
results are for others."""

AHEAD = 64
"""The maximum number of frames that are read ahead of the caller."""

Progress = Callable[[int, int], None]
"""Called with the number of bytes sealed so far, and the total."""


@record()
class ReceivedEvidence:
    """Evidence that a Keep sent, not verified yet, and the report data that binds it to this one exchange.

    `kind` is the TEE kind that the Keep names. `report_data` is what the evidence must carry.
    """

    kind: str
    evidence: bytes
    endorsements: tuple[bytes, ...]
    report_data: bytes


Seal = Callable[[bytes | memoryview, bool], memoryview | None]
"""Seals a chunk, which may be the last; returns its frame, or None once nothing more is wanted."""

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
class Broken:
    """The end of the sending thread (`sending`) or of the reading thread.

    `error` is None if the thread has finished its work, or if the Keep has ended.
    """

    sending: bool
    error: Exception | None


class FrameReader:
    """Reads the frames of a Keep in a thread, from number `start` on, until a frame of type `last`."""

    def __init__(self, link: Link, start: int, last: FrameType) -> None:
        self._link = link
        self._last = last
        self.events: queue.Queue[Frame | Broken] = queue.Queue(AHEAD)
        self.next = start
        self.over = False
        self.open()

    def open(self) -> None:
        """Start a reading thread, from the first frame that the caller has not taken yet."""
        threading.Thread(target=self._read, args=(self.next,), daemon=True, name="enarx-mail").start()

    def take(self, deadline: float) -> Frame | Broken | None:
        """The next event; None at the deadline (monotonic clock), even if events never stop."""
        left = deadline - time.monotonic()
        try:
            event = self.events.get(timeout=left) if left > 0 else None
        except queue.Empty:
            event = None
        if event is None:
            return None
        if not isinstance(event, Broken):
            self.next = event[0] + 1
        return event

    def close(self) -> None:
        """Stop taking events. A reading thread that waits for room in the queue ends."""
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
        except Exception as e:  # noqa: BLE001  # raised in the thread that takes the events
            error = e
        if not self.over:
            self.events.put(Broken(False, error))


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
    goes away, or if the Keep is silent for `patience` seconds.
    """
    admission = Admission(manifest=package.manifest, owner_seed=owners.seed, nonce=os.urandom(32))
    link.send([admission.challenge()])
    frames = FrameReader(link, 0, FrameType.OUTPUT)
    try:
        attestation, report_data = _attested(admission, _attestation_payload(frames, patience))
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
        return _Delivery(link, admission, package, session, frames, progress, patience).run(delivery)
    finally:
        frames.close()


def _attested(admission: Admission, payload: bytes) -> tuple[Attestation, bytes]:
    """The attestation and its report data, with a clear error if the Keep speaks another version of the protocol."""
    try:
        return admission.attestation(payload)
    except ParseError as e:
        raise (_other_version(e.code) if e.code == "attestation-version" else e) from e


def _attestation_payload(frames: FrameReader, patience: float) -> bytes:
    """The payload of the Keep's first frame, its attestation. UnavailableError, DeliveryError."""
    event = frames.take(time.monotonic() + patience)
    if event is None:
        raise UnavailableError("keep-silent", f"the Keep did not attest within {patience:g} s", hint=SILENT)
    if isinstance(event, Broken):
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


SILENT = "the host may be dropping messages: try again, or use another host"


class _Delivery:
    """One delivery, over as many connections as necessary."""

    def __init__(
        self,
        link: Link,
        admission: Admission,
        package: Package,
        session: Session,
        frames: FrameReader,
        progress: Progress | None,
        patience: float,
    ) -> None:
        self._link = link
        self._admission = admission
        self._package = package
        self._session = session
        self._frames = frames
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
            event = self._frames.take(deadline)
            if event is None:
                raise UnavailableError("delivery-stalled", self._stalled(), hint=SILENT)
            if isinstance(event, Broken):
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
        self._frames.over = True
        self._sender.join(min(self._patience, LEAVE))
        if record.status is None:
            return Delivered(session=self._session, start=number + 1, output=opener, accepted=True)
        return Delivered(session=self._session, start=number, output=self._session.opener(), accepted=False)

    def _reconnect(self, event: Broken) -> None:
        """Connect again for the direction that broke. Raises its error if another connection is pointless."""
        if event.sending and is_over(event.error):
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
            self._frames.open()

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
        if not self._frames.over:
            self._frames.events.put(Broken(True, error))

    def _sealed(self, delivery: bytes, start: int) -> Iterator[bytes | memoryview]:
        """The Delivery, and the chunks from number `start` on; earlier chunks are read but not sent."""
        yield delivery
        buffer = bytearray(CHUNK_BUFFER)

        def seal(chunk: bytes | memoryview, final: bool) -> memoryview | None:
            with self._lock:
                return None if self._frames.over else self._admission.chunk(chunk, buffer, final=final)

        yield from sealed_chunks(self._package.chunks(), start, seal, self._progress, self._package.size)


def is_over(error: Exception | None) -> bool:
    """Whether sending is over, without a fault or because the Keep has ended: what the Keep sent before tells how it went."""
    return error is None or (isinstance(error, UnavailableError) and error.code == "ended")


def sealed_chunks(
    chunks: Iterable[tuple[bytes | memoryview, bool]], start: int, seal: Seal, progress: Progress | None, size: int
) -> Iterator[memoryview]:
    """The frames of the chunks from number `start` on, until `seal` returns None. `size` is the total, for `progress`."""
    done = 0
    for number, (chunk, final) in enumerate(chunks):
        done += len(chunk)
        if number < start:
            continue
        frame = seal(chunk, final)
        if frame is None:
            return
        yield frame
        if progress is not None:
            progress(done, size)


def refused(payload: bytes) -> DeliveryError:
    """The error for a refusal in clear, which the host may have forged."""
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
