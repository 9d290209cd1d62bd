"""The zygote as its parent sees it: a packet in, a packet out, and nothing left when the link closes."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

import enarx
from enarx.errors import BackendError, ParseError, UsageError
from enarx.formats.wire import decode, encode
from enarx.image.contents import code_paths
from enarx.keep.boot import process
from enarx.keep.children import fork
from enarx.simulator.main import start_zygote

LIMITS = {"memory": 1 << 20, "compile": 1 << 20, "disk": 1 << 20}
ORDER = {"op": "launch", "host_data": "00" * 32, "limits": LIMITS, "skip_layers": []}
PATIENCE = 60
SOURCE = str(Path(enarx.__file__).parents[1])
SITE = str(Path(cbor2.__file__).parents[1])


class Zygote:
    """A zygote, started as the simulator starts it, and our end of its link."""

    def __init__(self) -> None:
        self.pidfd, fd = start_zygote(code_paths((SOURCE, SITE)))
        self.link = socket.socket(fileno=fd)
        self.link.settimeout(PATIENCE)

    def ended(self) -> int | None:
        """Its exit code, once it has one."""
        if not select.select([self.pidfd], [], [], PATIENCE)[0]:
            return None
        result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOWAIT)
        return result and result.si_status

    def order(self, value: Any, fds: list[int]) -> tuple[Any, list[int]]:
        socket.send_fds(self.link, [encode(value)], fds)
        packet, given, _, _ = socket.recv_fds(self.link, 65536, 4)
        return decode(packet, "answer") if packet else None, given


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.link.close()
    assert made.ended() in (0, 1)
    os.waitid(os.P_PIDFD, made.pidfd, os.WEXITED)
    os.close(made.pidfd)


def pairs() -> tuple[socket.socket, socket.socket, socket.socket, socket.socket]:
    return (*socket.socketpair(), *socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))


def test_it_launches_keeps_and_ends_with_its_link(zygote: Zygote) -> None:
    for _ in range(2):
        control, theirs, report, keeps = pairs()
        answer, given = zygote.order(ORDER, [theirs.fileno(), keeps.fileno()])
        assert answer["ok"] is True, answer
        assert all(layer["on"] for layer in answer["layers"])
        (pidfd,) = given
        for each in (theirs, keeps):
            each.close()
        report.send(encode({"host_data": bytes(32)}))
        control.close()
        assert select.select([pidfd], [], [], PATIENCE)[0], "a Keep whose host lets go ends"
        os.close(pidfd)
        report.close()
    zygote.link.close()
    assert zygote.ended() == 0


def test_a_keep_whose_launch_nobody_confirms_ends(zygote: Zygote) -> None:
    """The report link closes without a word: the simulator did not get this launch's answer."""
    control, theirs, report, keeps = pairs()
    answer, (pidfd,) = zygote.order(ORDER, [theirs.fileno(), keeps.fileno()])
    assert answer["ok"] is True
    for each in (theirs, keeps, report):
        each.close()
    assert select.select([pidfd], [], [], PATIENCE)[0]
    assert control.recv(1) == b""
    os.close(pidfd)
    control.close()


def test_a_keep_whose_simulator_never_speaks_ends_with_its_host(zygote: Zygote) -> None:
    """The report link stays open and silent, as that of a stopped simulator."""
    control, theirs, report, keeps = pairs()
    answer, (pidfd,) = zygote.order(ORDER, [theirs.fileno(), keeps.fileno()])
    assert answer["ok"] is True
    for each in (theirs, keeps, control):
        each.close()
    assert select.select([pidfd], [], [], PATIENCE)[0]
    os.close(pidfd)
    report.close()


def test_an_unknown_layer_is_refused_and_the_next_launch_works(zygote: Zygote) -> None:
    control, theirs, report, keeps = pairs()
    with control, theirs, report, keeps:
        answer, given = zygote.order(ORDER | {"skip_layers": ["unknown"]}, [theirs.fileno(), keeps.fileno()])
        assert (answer["ok"], answer["code"], given) == (False, "unknown-layer", [])
        assert answer["hint"]
        answer, (pidfd,) = zygote.order(ORDER, [theirs.fileno(), keeps.fileno()])
        assert answer["ok"] is True
        os.close(pidfd)


def test_an_order_without_its_descriptors_ends_it(zygote: Zygote, capfd: pytest.CaptureFixture[str]) -> None:
    answer, given = zygote.order(ORDER, [])
    assert (answer, given) == (None, [])
    assert zygote.ended() == 1


# --- single steps ----------------------------------------------------------------------------------------------------


def test_joining_a_cgroup(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()
    fd = os.open(tmp_path / "cgroup.procs", os.O_WRONLY)
    process._join((fd,))
    assert (tmp_path / "cgroup.procs").read_bytes() == b"0"
    os.close(fd)
    with pytest.raises(BackendError, check=lambda e: e.code == "cgroup" and bool(e.hint)):
        process._join((fd,))


def test_a_refusal_says_all_that_the_error_does() -> None:
    checks = (("seccomp", "missing", "another kernel"),)
    assert process._refusal(BackendError("layers-missing", "text", checks=checks, hint="h")) == {
        "ok": False,
        "code": "layers-missing",
        "message": "text",
        "hint": "h",
        "checks": [["seccomp", "missing", "another kernel"]],
    }
    assert process._refusal(UsageError("x", "y"))["checks"] == []


def test_a_packet_that_is_no_cbor() -> None:
    with pytest.raises(ParseError):
        process._map(b"\xff")


def test_a_keep_that_has_no_zygote_ends() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    child = fork(lambda: process.tell(ours, {"ok": True}) or exit(7))  # type: ignore[func-returns-value]
    child.reap(wait=True)
    assert child.status == 0
    ours.close()


def test_of_an_error_only_its_class_gets_out(capfd: pytest.CaptureFixture[str]) -> None:
    process.complain(ValueError("a secret"))
    assert capfd.readouterr().err == "keep: ValueError\n"
