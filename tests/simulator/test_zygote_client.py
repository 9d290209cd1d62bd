"""The simulator's client for its zygote, with a zygote of the test's."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from enarx.errors import UnavailableError
from enarx.formats.wire import encode
from enarx.simulator import zygote_client
from enarx.simulator.zygote_client import DIED, Zygote

GOOD = {"ok": True, "pid": 7, "layers": []}
REFUSED = {"ok": False, "code": "c", "message": "m", "hint": "h"}

Serve = Callable[[socket.socket], None]
Start = Callable[..., tuple[Zygote, int]]


def started(serve: Serve) -> tuple[int, tuple[int, int]]:
    """A process that serves a link: its number, and what start_zygote would return."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            serve(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return pid, (os.pidfd_open(pid), ours.detach())


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a zygote whose successors are those of `following`."""
    made: list[Zygote] = []

    def one(serve: Serve, following: Serve | None = None) -> tuple[Zygote, int]:
        monkeypatch.setattr(zygote_client, "start_zygote", lambda code: started(following or serve)[1])
        pid, ends = started(serve)
        made.append(Zygote(ends, ("code",)))
        return made[-1], pid

    yield one
    for zygote in made:
        if zygote._link is not None:
            zygote._end(zygote._link)


def answering(packet: bytes, *, with_fd: bool) -> Serve:
    def serve(link: socket.socket) -> None:
        while True:
            order, fds, _, _ = socket.recv_fds(link, 65536, 4)
            if not order:
                return
            socket.send_fds(link, [packet], [fds[0]] if with_fd else [])
            for fd in fds:
                os.close(fd)

    return serve


def launched(zygote: Zygote) -> tuple[object, list[int]]:
    fd = os.open("/dev/null", os.O_RDONLY)
    try:
        return zygote.launch({"op": "launch"}, [fd])
    finally:
        os.close(fd)


def test_a_keep_comes_with_its_pidfd(start: Start) -> None:
    zygote, _ = start(answering(encode(GOOD), with_fd=True))
    for _ in range(2):
        answer, fds = launched(zygote)
        assert answer == GOOD
        assert len(fds) == 1
        os.close(fds[0])


def test_a_refusal_comes_alone(start: Start) -> None:
    zygote, _ = start(answering(encode(REFUSED), with_fd=False))
    assert launched(zygote) == (REFUSED, [])


@pytest.mark.parametrize(
    ("answer", "with_fd"),
    [
        (b"", False),
        (b"\xff", False),
        (encode([]), False),
        (encode({}), False),
        (encode({"ok": 1}), True),
        (encode(GOOD), False),
        (encode({**GOOD, "pid": "7"}), True),
        (encode({"ok": True, "pid": 7}), True),
        (encode(REFUSED), True),
        (encode({**REFUSED, "hint": None}), False),
    ],
)
def test_another_answer_ends_the_zygote(start: Start, answer: bytes, with_fd: bool) -> None:
    zygote, pid = start(answering(answer, with_fd=with_fd))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UnavailableError, check=lambda e: e.code == DIED):
        launched(zygote)
    assert not os.path.exists(f"/proc/{pid}")
    assert len(os.listdir("/proc/self/fd")) < before  # its pidfd and its link, and whatever came beside the answer


def test_one_that_hangs_is_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zygote_client, "PATIENCE", 0.1)
    zygote, pid = start(lambda link: time.sleep(100))
    with pytest.raises(UnavailableError, check=lambda e: e.code == DIED):
        launched(zygote)
    assert not os.path.exists(f"/proc/{pid}")


def test_one_that_died_is_replaced(start: Start) -> None:
    zygote, pid = start(answering(encode(GOOD), with_fd=True), answering(encode(REFUSED), with_fd=False))
    assert not zygote.renew()
    os.kill(pid, signal.SIGKILL)
    until_gone = time.monotonic() + 20
    while not zygote.renew():
        assert time.monotonic() < until_gone
    assert launched(zygote) == (REFUSED, [])
    assert not zygote.renew()


def test_after_a_failed_launch_it_is_replaced(start: Start) -> None:
    zygote, _ = start(lambda link: None, answering(encode(REFUSED), with_fd=False))
    with pytest.raises(UnavailableError):
        launched(zygote)
    assert zygote.renew()
    assert launched(zygote) == (REFUSED, [])
