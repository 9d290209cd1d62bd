"""The keeper's loop, with real sockets, pipes and processes, and without a sandbox: a tenant at the other end."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enarx.delivery.session import STDIN, STDIN_END, STOP
from enarx.delivery.tenant import Attachment, refusal_code
from enarx.errors import UnavailableError
from enarx.formats import bounds
from enarx.formats.config import Config
from enarx.formats.package import Node, encode_index
from enarx.formats.wire import HEADER, FrameType, decode, encode, frame, frame_header
from enarx.keep import keeper, sandbox
from enarx.keep.attester.link import AttesterLink
from enarx.keep.core.deadlines import Deadlines
from enarx.keep.frames import Frames
from enarx.keep.keeper import Keeper
from enarx.record import replace
from tests.exchange import ATTACH_NONCE, CONFIG, FILE, Content
from tests.keep import processes
from tests.keep.core.pair import Pair
from tests.keep.processes import Guest

LIMITS = {"memory": 1 << 30, "compile": bounds.COMPILE, "disk": 256 << 20}
PATIENCE = 20.0


class Host:
    """A keeper in a thread, and its host's end of the control socket."""

    def __init__(
        self,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        guest: Guest = processes.echo,
        compile: Callable[[socket.socket], None] = processes.compiles,
        answers: bool = True,
        limits: dict[str, int] = LIMITS,
        config: Config = CONFIG,
        content: Content | None = None,
        **deadlines: float,
    ) -> None:
        for name in ("data", "secrets"):
            (home / name).mkdir()
        self.home = home
        self.confined: list[sandbox.Profile] = []
        monkeypatch.setattr(keeper.sandbox, "confine", lambda profile, **_: self.confined.append(profile))
        isolation = sandbox.Isolation(
            layers=(), data=str(home / "data"), secrets=str(home / "secrets"), scratch="", resizable=False
        )
        self.handle = processes.spawn(guest, compile)
        self.control, control = socket.socketpair()
        self.control.settimeout(PATIENCE)
        self.hardware, link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.hardware.send(encode({"kind": "simulated", "host_data": bytes(32)}))
        self.answers = answers
        threading.Thread(target=self._attest, daemon=True).start()
        self.keeper = Keeper(
            Frames(control), AttesterLink(link), self.handle, isolation, limits, frozenset(), Deadlines(**deadlines)
        )
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._serve, args=(control, link), daemon=True)
        self.thread.start()
        self.tenant = Pair(config=config, content=content)

    def _serve(self, control: socket.socket, link: socket.socket) -> None:
        try:
            self.keeper.serve()
        except UnavailableError as e:
            self.error = e
        control.close()
        link.close()

    def _attest(self) -> None:
        try:
            while packet := self.hardware.recv(1000):
                request: Any = decode(packet, "request")
                assert len(request["report_data"]) == 64
                self.hardware.send(encode({"evidence": b"e", "endorsements": []} if self.answers else {}))
        except OSError:
            return

    def read(self) -> tuple[FrameType, bytes]:
        head = self._exactly(HEADER.size)
        kind, size = frame_header(head)
        return kind, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.control.recv(size - len(data))
            assert piece, "the Keep has ended"
            data += piece
        return data

    def wait(self, wanted: FrameType) -> bytes:
        while True:
            kind, payload = self.read()
            if kind is wanted:
                return payload

    def begin(self) -> list[bytes]:
        """Admit and deliver; the frames of the package's chunks."""
        tenant = self.tenant
        self.control.sendall(tenant.tenant.challenge())
        tenant.tenant.attestation(self.wait(FrameType.ATTESTATION))
        delivery, tenant.session = tenant.tenant.delivery(entropy=bytes(range(64)), now=1)
        self.control.sendall(delivery)
        return tenant.chunks(tenant.content.plaintext())

    def deliver(self) -> Attachment:
        for chunk in self.begin():
            self.control.sendall(chunk)
        attachment = Attachment(self.tenant.session, nonce=ATTACH_NONCE)
        attachment.receive(FrameType.OUTPUT, self.wait(FrameType.OUTPUT))
        self.control.sendall(attachment.attach())
        while attachment.stdin is None:
            attachment.receive(*self.read())
        return attachment

    def end(self) -> None:
        """The keeper has ended, and every frame of it was read."""
        assert self.control.recv(1) == b""
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def close(self) -> None:
        self.control.close()
        self.hardware.close()
        self.thread.join(PATIENCE)
        processes.close(self.handle)


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def start(**options: Any) -> Host:
        hosts.append(Host(tmp_path, monkeypatch, **options))
        return hosts[-1]

    yield start
    for host in hosts:
        host.close()


Launch = Callable[..., Host]


def results(host: Host, attachment: Attachment) -> tuple[bytes, Any]:
    """All of stdout, and the status."""
    output = b""
    while True:
        record = attachment.receive(*host.read())
        if record is not None and record.kind == 1:
            output += record.data
        if record is not None and record.status is not None:
            return output, record.status


def test_a_whole_life(launch: Launch) -> None:
    host = launch()
    attachment = host.deliver()
    assert (host.home / "secrets" / "key").read_bytes() == b"canary-secret"
    assert (host.home / "data" / "0" / "d" / "f").read_bytes() == FILE
    assert host.confined == [sandbox.KEEPER]
    host.control.sendall(attachment.send(STDIN, 0, b"in"))
    host.control.sendall(attachment.send(STDIN_END, 2, b"put"))
    output, status = results(host, attachment)
    assert (output, status.cause, status.code) == (b"input", "exit", 7)
    host.end()
    assert host.error is None


def test_no_thread_is_left_while_a_guest_runs(launch: Launch) -> None:
    host = launch()
    host.deliver()
    assert "hashing" not in {thread.name for thread in threading.enumerate()}


def test_a_stop_kills_the_runner(launch: Launch) -> None:
    host = launch(guest=lambda orders: time.sleep(60))
    attachment = host.deliver()
    host.control.sendall(attachment.send(STOP, 0))
    assert results(host, attachment)[1].cause == "stopped"
    host.end()


def test_fresh_evidence(launch: Launch) -> None:
    from enarx.delivery.tenant import Freshness

    host = launch()
    host.deliver()
    fresh = Freshness(host.tenant.session, nonce=bytes(32))
    host.control.sendall(fresh.request())
    assert fresh.answer(host.wait(FrameType.EVIDENCE)) is not None


@pytest.mark.parametrize("how", ["says so", "ends"])
def test_hardware_without_evidence_ends_a_keep_without_a_word(launch: Launch, how: str) -> None:
    host = launch(answers=False)
    if how == "ends":
        host.hardware.shutdown(socket.SHUT_RDWR)
    host.control.sendall(host.tenant.tenant.challenge())
    host.end()


@pytest.mark.parametrize("when", ["at once", "while receiving", "in a session"])
def test_a_host_that_lets_go_ends_a_keep(launch: Launch, when: str) -> None:
    host = launch()
    if when == "while receiving":
        host.begin()
    elif when == "in a session":
        host.deliver()
    host.control.shutdown(socket.SHUT_RDWR)
    host.thread.join(PATIENCE)
    assert isinstance(host.error, UnavailableError)


@pytest.mark.parametrize("before", ["challenge", "delivery", "chunk"])
def test_deadlines_end_a_keep_whatever_its_host_does(launch: Launch, before: str) -> None:
    host = launch(delivery=0.5, idle=0.5)
    if before == "challenge":
        host.control.sendall(frame(FrameType.CHUNK, b""))
        assert refusal_code(host.wait(FrameType.REFUSAL)) == "unexpected-message"
    elif before == "delivery":
        host.control.sendall(host.tenant.tenant.challenge())
        assert refusal_code(host.wait(FrameType.REFUSAL)) == "delivery-late"
    else:
        host.begin()
        status = host.tenant.session.opener().open(host.wait(FrameType.OUTPUT)).status
        assert status is not None
        assert status.message.startswith("delivery-idle")
    host.end()


def test_the_limits_of_this_machine(launch: Launch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    host = launch(limits={**LIMITS, "memory": CONFIG.limits.memory - 1})
    host.begin()
    status = host.tenant.session.opener().open(host.wait(FrameType.OUTPUT)).status
    assert status is not None
    assert status.message.startswith("memory-limit")
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_a_compiler_that_is_gone_refuses_the_package(launch: Launch) -> None:
    host = launch(compile=lambda source: os._exit(9))
    host.handle.compilation.child.reap(seconds=PATIENCE)
    for chunk in host.begin():
        host.control.sendall(chunk)
    status = host.tenant.session.opener().open(host.wait(FrameType.OUTPUT)).status
    assert status is not None
    assert (status.cause, status.message.split(":")[0]) == ("refused", "compiler")
    host.end()


def test_a_package_that_cannot_be_stored_is_refused_with_the_reason(launch: Launch) -> None:
    """A path may be as long as the kernel takes, and the Keep puts its own in front of it."""
    paths = ["/".join(["n" * 255] * depth) for depth in range(1, 16)] + ["/".join(["n" * 255] * 15 + ["m" * 250])]
    index = encode_index([Node(path, "d") for path in paths])
    host = launch(content=Content(index=index, file=b""))
    for chunk in host.begin():
        host.control.sendall(chunk)
    status = host.tenant.session.opener().open(host.wait(FrameType.OUTPUT)).status
    assert status is not None
    assert (status.cause, status.message) == (
        "refused",
        "storage: this Keep cannot store the package: File name too long",
    )
    host.end()


def test_a_time_limit_of_years(launch: Launch) -> None:
    """poll takes no more than 24 days."""
    host = launch(config=CONFIG.replace(limits=replace(CONFIG.limits, time=1e9)))
    attachment = host.deliver()
    host.control.sendall(attachment.send(STDIN_END, 0))
    assert results(host, attachment)[1].cause == "exit"
    host.end()
    assert host.error is None


def floods(orders: socket.socket) -> None:
    processes.told(orders)
    orders.sendall(b"\0")
    while True:
        os.write(1, bytes(1 << 16))


def test_a_host_that_does_not_read_cannot_keep_a_tenant_from_stopping(launch: Launch) -> None:
    """Output is no longer read above HIGH_WATER, and frames still are."""
    host = launch(guest=floods)
    attachment = host.deliver()
    time.sleep(1)
    assert keeper.HIGH_WATER <= host.keeper._frames.queued < keeper.ANSWERS
    host.control.sendall(attachment.send(STOP, 0))
    assert results(host, attachment)[1].cause == "stopped"
    host.end()


def test_content_of_a_package_that_is_wrong_is_never_run(launch: Launch) -> None:
    ran: list[int] = []
    host = launch(guest=lambda orders: ran.append(1))
    host.tenant.content = Content(file=FILE[:-1] + b"!")
    for chunk in host.begin():
        host.control.sendall(chunk)
    status = host.tenant.session.opener().open(host.wait(FrameType.OUTPUT)).status
    assert status is not None
    assert status.message.startswith("content-file")
    host.end()
