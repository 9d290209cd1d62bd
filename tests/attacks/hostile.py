"""A hostile host: everything between a real tenant and a Keep goes through its hands.

The Keep is the real protocol with a stand-in for the guest, which sends stdin back as stdout and ends with 7 at its end.
Evidence is real simulated evidence; the judge is the real verifier. `canaries` are what must never be seen.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

from enarx.delivery.content import Receiver
from enarx.delivery.keep import ENTROPY_SIZE, KeepProtocol
from enarx.delivery.session import STATE, STATE_DATA, STDIN, STDIN_END, STDOUT, Status
from enarx.errors import DeliveryError, EnarxError, ParseError, UnavailableError
from enarx.formats.config import Config, Dir
from enarx.formats.package import Manifest
from enarx.formats.wire import CHUNK, HEADER, FrameType, frame_header
from enarx.hardware.keys import Chip, load
from enarx.tenant import deploy, package
from enarx.tenant.deploy import Claim, Delivered, Result, Run
from enarx.tenant.owners import Owners
from enarx.verify import AttestationResult, Roots, verify_and_appraise
from enarx.verify.policy import AnyOf, Exactly, SimulatedPolicy, Unchecked
from tests.controls import Control
from tests.exchange import OWNER, Store, frames, public
from tests.programs import module

MEASUREMENT = b"\xab" * 48
Frame = tuple[FrameType, bytes]
Mangle = Callable[[FrameType, bytes], Iterable[Frame]]


def honest(kind: FrameType, payload: bytes) -> Iterable[Frame]:
    return [(kind, payload)]


class Keep:
    """The Keep's end, driven frame by frame; what it says goes to `out`."""

    def __init__(self, chip: Chip, *, host_data: bytes = bytes(32), measurement: bytes = MEASUREMENT) -> None:
        self.protocol = KeepProtocol(entropy=os.urandom(ENTROPY_SIZE), package=host_data)
        self.out: queue.Queue[Frame | None] = queue.Queue()
        self.chip, self.host_data, self.measurement = chip, host_data, measurement
        self.manifest: Manifest | None = None
        self.store = Store()
        self.receiver: Receiver | None = None
        self.taken = 0
        self.over = False

    def take(self, kind: FrameType, payload: bytes) -> None:
        """As the keeper: refuse what is wrong before there is a session, end only the attachment afterwards."""
        if self.over:
            return
        try:
            self._take(kind, payload)
        except (DeliveryError, ParseError) as e:
            if self.protocol.conversation.state == "session":
                self._say(self.protocol.broken())
            elif self.protocol.output is not None:
                self._end(Status(cause="refused", message=e.code))
            else:
                self._say(self.protocol.refusal(e.code))
                self.die()

    def _take(self, kind: FrameType, payload: bytes) -> None:
        if kind is FrameType.CHALLENGE:
            report = self.protocol.challenge(payload)
            evidence = self.chip.sign(measurement=self.measurement, host_data=self.host_data, report_data=report)
            self._say(self.protocol.attestation("simulated", evidence, (self.chip.certificate,)))
        elif kind is FrameType.DELIVERY and self.protocol.conversation.state == "receiving":
            self._say(self.protocol.again(payload))
        elif kind is FrameType.DELIVERY:
            self.manifest = self.protocol.delivery(payload)
            self.receiver = Receiver(self.manifest, self.store)
        elif kind is FrameType.CHUNK:
            self._chunk(payload)
        elif kind is FrameType.ATTACH:
            self._say(self.protocol.attach(payload, os.urandom(32)))
            self._state()
        elif kind is FrameType.INPUT:
            self._input(payload)
        elif kind is FrameType.ATTEST:
            self._attest(payload)
        else:
            self.protocol.conversation.step(kind)
            raise DeliveryError("unexpected-message", "not the tenant's to send", state="")

    def _chunk(self, payload: bytes) -> None:
        out = memoryview(bytearray(CHUNK))
        size = self.protocol.chunk(memoryview(payload), out)
        if size is None:
            return
        assert self.receiver is not None
        self.receiver.feed(out[:size])
        if self.protocol.conversation.state == "complete":
            self.receiver.finish()
            self._say(self.protocol.acceptance())
        else:
            self._say(self.protocol.received())

    def _attest(self, payload: bytes) -> None:
        report = self.protocol.attest(payload)
        evidence = self.chip.sign(measurement=self.measurement, host_data=self.host_data, report_data=report)
        self._say(self.protocol.evidence("simulated", evidence, (self.chip.certificate,)))

    def _input(self, payload: bytes) -> None:
        record = self.protocol.input(payload)
        if record is None:
            return
        kind, offset, data = record
        if kind not in (STDIN, STDIN_END) or offset != self.taken:
            raise DeliveryError("stdin-offset", "not the next bytes of stdin", state="session")
        self.taken += len(data)
        if data:
            self._say(self.protocol.write(STDOUT, data))
        self._state()
        if kind == STDIN_END:
            self._end(Status(cause="exit", code=7, stdout=self.taken))

    def _state(self) -> None:
        assert self.protocol.output is not None
        self._say(self.protocol.reply(STATE, self.taken, STATE_DATA.pack(self.protocol.output.next, True)))

    def _end(self, status: Status) -> None:
        self._say(self.protocol.final(status))
        self.die()

    def _say(self, data: bytes) -> None:
        for frame in frames(data):
            self.out.put((frame_header(frame[: HEADER.size])[0], frame[HEADER.size :]))

    def die(self) -> None:
        self.over = True
        self.out.put(None)


class HostileLink:
    """The tenant's way to the Keep, and the host's way with both. `seen` is all that the host saw."""

    def __init__(self, keep: Keep, *, to_keep: Mangle = honest, to_tenant: Mangle = honest) -> None:
        self.keep, self.to_keep, self.to_tenant = keep, to_keep, to_tenant
        self.seen: list[bytes] = []
        self.sent: list[bytes] = []
        self._kept: list[Frame | None] = []
        self._next: Frame | None = None

    def send(self, given: Iterable[bytes | memoryview], size: int | None = None) -> None:
        for frame in given:
            data = bytes(frame)
            self.seen.append(data)
            self.sent.append(data)
            if self.keep.over:
                raise UnavailableError("host-lost", "the Keep takes no more input")
            for kind, payload in self.to_keep(FrameType(data[4]), data[HEADER.size :]):
                self.keep.take(kind, payload)

    def receive(self, start: int) -> Iterator[tuple[int, FrameType, bytes]]:
        number = start
        while True:
            while len(self._kept) <= number:
                self._collect()
            found = self._kept[number]
            if found is None:
                return
            yield number, *found
            number += 1

    def _collect(self) -> None:
        frame = self._next = self._next or self.keep.out.get(timeout=10)
        if frame is None:
            self._kept.append(None)
            return
        self.seen.append(frame[1])
        self._kept += list(self.to_tenant(*frame))
        self._next = None

    def stop(self) -> None:
        self.keep.die()

    def close(self) -> None:
        return


@dataclass
class Scene:
    """A tenant with a package full of canaries, and hardware. `play` is the whole exchange."""

    chip: Chip
    package: package.Package
    root: bytes
    canaries: tuple[bytes, ...]
    output: list[bytes] = field(default_factory=list)

    def keep(self, **options: bytes) -> Keep:
        return Keep(self.chip, **options)

    def judge(self, claim: Claim) -> None:
        policy = SimulatedPolicy(
            measurement=Exactly(MEASUREMENT),
            host_data=AnyOf((self.package.manifest.digest, bytes(32))),
            debug=Exactly(False),
            svn=Unchecked(reason="a test"),
            chip_id=Unchecked(reason="a test"),
        )
        fresh, now = claim.report_data, int(time.time())
        evidence = self.chip.sign(measurement=MEASUREMENT, host_data=bytes(32), report_data=fresh)
        good = Claim(kind="simulated", evidence=evidence, endorsements=(self.chip.certificate,), report_data=fresh)

        def judged(claim: Claim) -> AttestationResult:
            return verify_and_appraise(
                claim.kind,
                claim.evidence,
                claim.endorsements,
                policy=policy,
                roots=Roots(simulated=(self.root,)),
                report_data=fresh,
                now=now,
            )

        Control(judged, claim=good).but(claim=claim)

    def play(self, link: HostileLink, stdin: bytes = b"canary-stdin") -> Result:
        """Admit, deliver, run to the end; whatever happens, the host must have seen no canary."""
        try:
            delivered = self.deliver(link)
            run = Run(
                link=link,
                session=delivered.session,
                start=delivered.start,
                output=delivered.output,
                stdin=BytesIO(stdin),
                write=lambda _, data: self.output.append(data),
            )
            return run.serve()
        finally:
            for frame in link.seen:
                for canary in self.canaries:
                    assert canary not in frame

    def deliver(self, link: HostileLink, patience: float = 10.0) -> Delivered:
        """Admission and delivery alone."""
        return deploy.admit(link, self.package, Owners((public(OWNER),), OWNER), self.judge, patience=patience)

    def refused(self, link: HostileLink, kind: type[EnarxError], *codes: str) -> EnarxError:
        """The exchange ends in this class of error, with one of these codes, and nothing was accepted."""
        try:
            result = self.play(link)
        except EnarxError as e:
            assert type(e) is kind, f"{type(e).__name__} {e.code}: {e.message}"
            assert not codes or e.code in codes, e.code
            return e
        raise AssertionError(f"accepted: {result}")


def scene(tmp: os.PathLike[str]) -> Scene:
    base = os.fspath(tmp)
    os.makedirs(f"{base}/data")
    with open(f"{base}/data/file", "wb") as file:
        file.write(b"canary-file" * 200_000)  # two chunks and more
    with open(f"{base}/guest.wasm", "wb") as file:
        file.write(module("cat"))
    config = Config.from_toml('args = ["canary-arg"]\n[env]\nE = "canary-env"\n[secrets]\nkey = {}\n')
    config = config.replace(dirs=(Dir(guest="/data", host="data"),))
    built = package.build(
        f"{base}/guest.wasm",
        config,
        owners=(public(OWNER),),
        salt=os.urandom(32),
        secrets={"key": b"canary-secret"},
        base=base,
    )
    chip = load(f"{base}/hardware")
    with open(f"{base}/hardware/root.pub", encoding="ascii") as file:
        root = bytes.fromhex(file.read().strip())
    canaries = (b"canary-arg", b"canary-env", b"canary-secret", b"canary-file", b"canary-stdin")
    return Scene(chip, built, root, canaries)
