"""The attester's process: the loop, and the sandbox around it."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enarx.errors import ParseError, UnavailableError
from enarx.formats.wire import decode, encode
from enarx.keep import sandbox
from enarx.keep.attester import Attester
from enarx.keep.attester.link import AttesterLink
from enarx.keep.attester.process import make_link, serve, spawn
from enarx.record import replace

HOST_DATA = b"\7" * 32
REPORT_DATA = bytes(range(64))
NO_USER_NAMESPACE = frozenset(("user-namespace",))
"""This process has none, so a limit on processes would count all of this user's."""


class Fake:
    """Gives what it reads from its device."""

    kind = "fake"
    profile = sandbox.ATTESTER
    directories: tuple[str, ...] = ()
    host_data = HOST_DATA

    def __init__(self, device: int) -> None:
        self.device = device

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        return os.read(self.device, 1024), (report_data,)


class Busy(Fake):
    """Its device is busy every other time."""

    count = 0

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        self.count += 1
        if self.count % 2:
            raise UnavailableError("busy", "the device is busy")
        return report_data, ()


class Curious(Fake):
    """Tells which of the things that it has no right to it can do."""

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        words = []
        for action in (
            lambda: os.open("/etc/passwd", os.O_RDONLY),
            lambda: os.stat("/").st_mode,
            lambda: os.dup(self.device),
        ):
            try:
                words.append(str(action() > 0))
            except OSError as e:
                words.append(errno.errorcode[e.errno])
        words.append(str(sum(readable(fd) for fd in range(1024))))
        return " ".join(words).encode(), ()


def readable(fd: int) -> bool:
    try:
        return os.read(fd, 0) == b""
    except OSError:
        return False


class Failing(Fake):
    """Breaks at its first request."""

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        raise ValueError("a fault of the attester's own")


@contextmanager
def spawned(attester: type[Attester]) -> Iterator[tuple[AttesterLink, int]]:
    """A link to an attester in its sandbox, and the other end of its device."""
    device, far = os.pipe()
    socket_, child = spawn(attester, device, make_link(), skip=NO_USER_NAMESPACE)
    link = AttesterLink(socket_, child)
    yield link, far
    socket_.close()
    child.reap(wait=True)
    os.close(far)
    assert child.status is not None


def test_it_serves_one_request_after_another() -> None:
    with spawned(Fake) as (link, device):
        assert (link.kind, link.host_data) == ("fake", HOST_DATA)
        for word in (b"first", b"second"):
            os.write(device, word)
            link.ask(REPORT_DATA)
            assert link.answer() == (word, (REPORT_DATA,))


def test_it_ends_when_the_keeper_lets_go() -> None:
    device, far = os.pipe()
    socket_, child = spawn(Fake, device, make_link(), skip=NO_USER_NAMESPACE)
    AttesterLink(socket_, child)
    socket_.close()
    assert child.reap(seconds=20)
    assert child.status == 0
    os.close(far)


def test_the_sandbox_leaves_it_two_descriptors() -> None:
    with spawned(Curious) as (link, _):
        link.ask(REPORT_DATA)
        assert link.answer()[0] == b"ENOSYS ENOSYS ENOSYS 2"


def test_a_busy_device_is_asked_again() -> None:
    with spawned(Busy) as (link, _):
        for good in (False, True, False, True):
            link.ask(REPORT_DATA)
            if good:
                assert link.answer() == (REPORT_DATA, ())
            else:
                with pytest.raises(UnavailableError):
                    link.answer()


def test_a_fault_of_its_own_ends_it() -> None:
    with spawned(Failing) as (link, _):
        link.ask(REPORT_DATA)
        with pytest.raises(UnavailableError):
            link.answer()


def test_an_attester_may_ask_for_directories_of_its_own(tmp_path: Path) -> None:
    """As configfs-tsm wants it: a directory for each report, made, written, read and removed inside the sandbox."""

    class Directories(Fake):
        profile = replace(
            sandbox.ATTESTER,
            name="attester-directories",
            allowed=sandbox.ATTESTER.allowed | {"mkdir", "mkdirat", "openat", "lseek", "rmdir", "unlink", "unlinkat"},
        )
        directories = (str(tmp_path),)
        count = 0

        def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
            self.count += 1
            path = f"{self.directories[0]}/report{self.count}"
            os.mkdir(path)
            fd = os.open(f"{path}/inblob", os.O_CREAT | os.O_RDWR)
            os.write(fd, report_data)
            os.lseek(fd, 0, os.SEEK_SET)
            evidence = os.read(fd, 1024)
            os.close(fd)
            os.unlink(f"{path}/inblob")
            os.rmdir(path)
            try:
                os.open("/etc/passwd", os.O_RDONLY)
            except OSError as e:
                return evidence, (errno.errorcode[e.errno].encode(),)
            return evidence, ()

    with spawned(Directories) as (link, _):
        for _ in range(2):
            link.ask(REPORT_DATA)
            assert link.answer() == (REPORT_DATA, (b"EACCES",))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("request_", [{}, [], {"report_data": bytes(63)}, {"report_data": bytes(64), "more": 1}])
def test_a_request_of_another_form_ends_the_loop(request_: object) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(encode(request_))
    with ours, theirs, pytest.raises(ParseError):
        serve(theirs.fileno(), Busy(-1))


def test_the_loop_greets_first_and_ends_with_the_link() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=serve, args=(theirs.fileno(), Busy(-1)))
    thread.start()
    assert decode(ours.recv(1024), "greeting") == {"kind": "fake", "host_data": HOST_DATA}
    ours.send(encode({"report_data": REPORT_DATA}))
    assert decode(ours.recv(1024), "answer") == {}
    ours.close()
    thread.join(20)
    assert not thread.is_alive()
    theirs.close()
