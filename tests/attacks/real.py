"""A real Keep, launched by the real simulated hardware, with the test in place of its host: it holds the Keep's control
socket itself, so nothing stands between an attack and the Keep.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

import enarx
from enarx.errors import UnavailableError
from enarx.formats.bounds import COMPILE
from enarx.formats.config import Config
from enarx.formats.wire import HEADER, FrameType, frame_header
from enarx.host.backends.backend import Request, Site
from enarx.host.backends.process.simulator import Simulator
from enarx.host.processes import Handle
from enarx.image.contents import files
from enarx.image.measure import DigestCache, measure
from enarx.tenant import package
from enarx.tenant.deploy import Delivered, ReceivedEvidence, Result, Run, admit
from enarx.tenant.owners import Owners
from enarx.verify import AttestationResult
from tests.exchange import OWNER, public
from tests.programs import module
from tests.verifier import verifier

SOURCE = Path(enarx.__file__).parent
SITE = next(p for p in sys.path if os.path.isdir(f"{p}/cryptography"))
PATIENCE = 30.0
MEMORY, DISK = 1 << 30, 256 << 20


def with_deadlines(path: Path, **seconds: float) -> Path:
    """A copy of the code whose Keeps wait for this many seconds."""
    shutil.copytree(SOURCE, path / "enarx", ignore=shutil.ignore_patterns("__pycache__"))
    file = path / "enarx" / "keep" / "core" / "deadlines.py"
    text = file.read_text()
    for name, value in seconds.items():
        text, count = re.subn(rf"(?m)^    {name}: float = [\d.]+$", f"    {name}: float = {value}", text)
        assert count == 1, name
    file.write_text(text)
    return path


class Wire:
    """As a tenant's Link, straight to a Keep's control socket. `log` is all that the Keep has sent."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.log: list[tuple[FrameType, bytes]] = []
        self.ended = False
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, frames: Iterable[bytes | memoryview], size: int | None = None) -> None:
        for frame in frames:
            try:
                self.control.sendall(frame)
            except OSError as e:
                raise UnavailableError("host-lost", "the Keep takes no more input") from e

    def receive(self, start: int) -> Iterator[tuple[int, FrameType, bytes]]:
        for number in range(start, 1 << 62):
            with self._news:
                self._news.wait_for(lambda n=number: len(self.log) > n or self.ended, PATIENCE)  # type: ignore[misc]
                if len(self.log) <= number:
                    return
                found = self.log[number]
            yield number, *found

    def wait(self, kind: FrameType, count: int = 1) -> bytes:
        """The payload of the Keep's frame number `count` of this type."""
        with self._news:
            there = self._news.wait_for(lambda: len(self.of(kind)) >= count or self.ended, PATIENCE)
            assert there, f"no {kind.name}"
            assert len(self.of(kind)) >= count, f"the Keep ended without {kind.name}: {[k.name for k, _ in self.log]}"
            return self.of(kind)[count - 1]

    def of(self, kind: FrameType) -> list[bytes]:
        return [payload for found, payload in self.log if found is kind]

    def until_end(self) -> float:
        """Seconds until the Keep has let go of its socket."""
        start = time.monotonic()
        with self._news:
            assert self._news.wait_for(lambda: self.ended, PATIENCE), "the Keep goes on"
        return time.monotonic() - start

    def stop(self) -> None:
        self.close()

    def close(self) -> None:
        try:
            self.control.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _read(self) -> None:
        with self.control.makefile("rb") as source:
            while len(head := self._exactly(source, HEADER.size)) == HEADER.size:
                kind, size = frame_header(head)
                payload = self._exactly(source, size)
                with self._news:
                    self.log.append((kind, payload))
                    self._news.notify_all()
        with self._news:
            self.ended = True
            self._news.notify_all()

    @staticmethod
    def _exactly(source: object, size: int) -> bytes:
        try:
            return source.read(size)  # type: ignore[attr-defined, no-any-return]
        except OSError:
            return b""


class Machine:
    """Real simulated hardware over the code in `code`, and a tenant who knows its root and what its Keeps measure."""

    def __init__(self, home: Path, code: Path = SOURCE.parent) -> None:
        self.home = home
        search = (str(code), SITE)
        (home / "cache").mkdir(parents=True)
        self._site = Site(paths=":".join(search), state=str(home / "hardware"), cache=str(home / "cache"))
        self._simulator = Simulator(self._site.paths, state=self._site.state, cache=self._site.cache)
        self.measured = measure(files(search), DigestCache(str(home / "cache" / "mine.json"))).value
        self._open: list[tuple[Wire, Handle]] = []
        self.owners = Owners((public(OWNER),), OWNER)

    def keep(self, host_data: bytes = bytes(32)) -> Wire:
        """A new Keep, launched for the package of this digest, or for none."""
        ours, theirs = socket.socketpair()
        with theirs:
            request = Request(
                site=self._site,
                host_data=host_data.hex(),
                memory=MEMORY,
                compile=COMPILE,
                disk=DISK,
                skip_layers=[],
                groups=[],
            )
            handle, _ = self._simulator.launch(theirs, request)
        self._open.append((Wire(ours), handle))
        return self._open[-1][0]

    def package(self, name: str, text: str = "", **secrets: bytes) -> package.Package:
        path = self.home / f"{name}.wasm"
        path.write_bytes(module(name))
        config = Config.from_toml(text)
        salt = os.urandom(32)
        return package.build(
            str(path), config, owners=self.owners.public, salt=salt, secrets=secrets, base=str(self.home)
        )

    def verifier(self, built: package.Package) -> Callable[[ReceivedEvidence], AttestationResult]:
        root = bytes.fromhex((self.home / "hardware" / "root.pub").read_text().strip())
        return verifier(self.measured, built.manifest.digest, root)

    def deliver(self, wire: Wire, built: package.Package, patience: float = PATIENCE) -> Delivered:
        return admit(wire, built, self.owners, self.verifier(built), patience=patience)

    def signal(self, number: int) -> None:
        """To the hardware."""
        os.kill(self._simulator.pid, number)

    def close(self) -> None:
        for wire, handle in self._open:
            wire.close()
            wire.until_end()
            wire.control.close()
            handle.close()
        self._simulator.close()
        os.waitpid(self._simulator.pid, 0)


def finish(wire: Wire, delivered: Delivered, stdin: bytes = b"") -> tuple[Result, bytes]:
    """Attach, give stdin, and go on to the end: the result and stdout."""
    shown: list[bytes] = []
    run = Run(
        link=wire,
        session=delivered.session,
        start=delivered.start,
        output=delivered.output,
        stdin=BytesIO(stdin),
        write=lambda _, data: shown.append(data),
    )
    return run.serve(), b"".join(shown)
