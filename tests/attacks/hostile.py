"""A hostile host: everything between a real tenant and a real Keep's core passes through its hands.

The Keep is `MemoryKeep`: the core that runs in every Keep, with a workload that sends stdin back as stdout and exits with
7 at its end. Evidence is real simulated evidence of a chip made for the test, and the verifier is the real one. `canaries`
are the plaintexts that the host must never see.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from enarx.delivery.keep import ANY_PACKAGE
from enarx.delivery.tenant import Session
from enarx.errors import EnarxError, UnavailableError
from enarx.formats.config import Config, Dir
from enarx.formats.wire import HEADER, FrameType
from enarx.keep.core.deadlines import Deadlines
from enarx.simulator.keys import Chip, load
from enarx.tenant import deploy, package
from enarx.tenant.deploy import Delivered, ReceivedEvidence, Result, Run
from enarx.tenant.owners import Owners
from enarx.tenant.results import Results
from enarx.verify import AttestationResult, Roots, verify_and_appraise
from enarx.verify.policy import AnyOf, Exactly, SimulatedPolicy, Unchecked
from tests.controls import Control
from tests.exchange import OWNER, public
from tests.keep.core.driver import DEADLINES, EXIT_CODE, Frame, MemoryKeep
from tests.programs import module

__all__ = ["EAGER", "EXIT_CODE", "Frame", "HostileLink", "MemoryKeep", "Scene", "keep_on", "raw", "scene"]

MEASUREMENT = b"\xab" * 48
FILE = b"canary-file" * 200_000
EAGER = Deadlines(confirm=0.0)
"""Of a Keep that confirms every chunk."""

Mangle = Callable[[FrameType, bytes], Iterable[Frame]]


def honest(kind: FrameType, payload: bytes) -> Iterable[Frame]:
    return [(kind, payload)]


def raw(kind: FrameType, payload: bytes) -> bytes:
    """A frame as it travels, also one that is larger than its type allows."""
    return HEADER.pack(len(payload) + 1, kind) + payload


def keep_on(
    chip: Chip,
    *,
    host_data: bytes = ANY_PACKAGE,
    measurement: bytes = MEASUREMENT,
    attested: bytes | None = None,
    deadlines: Deadlines = DEADLINES,
) -> MemoryKeep:
    """A Keep on this chip. `attested` is the host data in its evidence, if it is not that of its launch."""

    def attest(report_data: bytes) -> tuple[str, bytes, tuple[bytes, ...]]:
        launched = host_data if attested is None else attested
        evidence = chip.sign(measurement=measurement, host_data=launched, report_data=report_data)
        return "simulated", evidence, (chip.certificate,)

    return MemoryKeep(attest, host_data=host_data, deadlines=deadlines)


class HostileLink:
    """The tenant's link to the Keep, mangled by the host in both directions.

    `seen` are all frames that the host saw, `sent` those of the tenant's.
    """

    def __init__(self, keep: MemoryKeep, *, to_keep: Mangle = honest, to_tenant: Mangle = honest) -> None:
        self.keep, self.to_keep, self.to_tenant = keep, to_keep, to_tenant
        self.seen: list[bytes] = []
        self.sent: list[bytes] = []
        self._given: list[Frame | None] = []
        self._next: Frame | None = None

    def send(self, given: Iterable[bytes | memoryview], size: int | None = None) -> None:
        for frame in given:
            data = bytes(frame)
            self.seen.append(data)
            self.sent.append(data)
            if self.keep.over:
                raise UnavailableError("host-lost", "the Keep takes no more input")
            for kind, payload in self.to_keep(FrameType(data[4]), data[HEADER.size :]):
                self.keep.receive(raw(kind, payload))

    def receive(self, start: int) -> Iterator[tuple[int, FrameType, bytes]]:
        number = start
        while True:
            while len(self._given) <= number:
                self._collect()
            frame = self._given[number]
            if frame is None:
                return
            yield number, *frame
            number += 1

    def _collect(self) -> None:
        """Mangle the Keep's next frame. A mangle that raises is given the same frame again."""
        frame = self._next = self._next or self.keep.out.get(timeout=10)
        if frame is None:
            self._given.append(None)
            return
        self.seen.append(raw(*frame))
        self._given += list(self.to_tenant(*frame))
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
    session: Session | None = None

    def keep(self, **options: Any) -> MemoryKeep:
        return keep_on(self.chip, **options)

    def verifier(self, received: ReceivedEvidence) -> None:
        policy = SimulatedPolicy(
            measurement=Exactly(MEASUREMENT),
            host_data=AnyOf((self.package.manifest.digest, bytes(32))),
            debug=Exactly(False),
            svn=Unchecked(reason="a test"),
            chip_id=Unchecked(reason="a test"),
        )
        fresh, now = received.report_data, int(time.time())
        evidence = self.chip.sign(measurement=MEASUREMENT, host_data=bytes(32), report_data=fresh)
        good = ReceivedEvidence(
            kind="simulated", evidence=evidence, endorsements=(self.chip.certificate,), report_data=fresh
        )

        def appraised(received: ReceivedEvidence) -> AttestationResult:
            return verify_and_appraise(
                received.kind,
                received.evidence,
                received.endorsements,
                policy=policy,
                roots=Roots(simulated=(self.root,)),
                report_data=fresh,
                now=now,
            )

        Control(appraised, received=good).but(received=received)

    def play(self, link: HostileLink, stdin: bytes = b"canary-stdin", *, results: Results | None = None) -> Result:
        """Admit, deliver, run to the end; whatever happens, the host must have seen no canary."""
        try:
            delivered = self.deliver(link)
            self.session = delivered.session
            run = Run(
                link=link,
                session=delivered.session,
                start=delivered.start,
                output=delivered.output,
                stdin=BytesIO(stdin),
                write=lambda _, data: self.output.append(data),
                files=lambda offset, data: None if results is None else results.take(offset, data),
            )
            return run.serve()
        finally:
            for frame in link.seen:
                for canary in self.canaries:
                    assert canary not in frame

    def deliver(self, link: HostileLink, patience: float = 10.0) -> Delivered:
        """Admission and delivery alone."""
        return deploy.admit(link, self.package, Owners((public(OWNER),), OWNER), self.verifier, patience=patience)

    def refused(self, link: HostileLink, kind: type[EnarxError], *codes: str) -> EnarxError:
        """The exchange ends in this class of error, with one of these codes, and nothing was accepted."""
        try:
            result = self.play(link)
        except EnarxError as e:
            assert type(e) is kind, f"{type(e).__name__} {e.code}: {e.message}"
            assert not codes or e.code in codes, e.code
            return e
        raise AssertionError(f"accepted: {result}")


def scene(tmp: os.PathLike[str], *, mode: str = "ro") -> Scene:
    base = os.fspath(tmp)
    os.makedirs(f"{base}/data")
    with open(f"{base}/data/file", "wb") as file:
        file.write(FILE)  # more than two chunks
    with open(f"{base}/guest.wasm", "wb") as file:
        file.write(module("cat"))
    config = Config.from_toml('args = ["canary-arg"]\n[env]\nE = "canary-env"\n[secrets]\nkey = {}\n')
    config = config.replace(dirs=(Dir(guest="/data", host="data", mode=mode),))
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
