from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from enarx.errors import BackendError, ParseError
from enarx.simulator import orders

GOOD: dict[str, Any] = {
    "op": "launch",
    "host_data": "ab" * 32,
    "limits": {"memory": 1, "compile": 0, "disk": (1 << 63) - 1},
    "skip_layers": ["seccomp"],
}


@pytest.fixture
def link() -> Iterator[Ends]:
    """The host's end; `fd` is the simulator's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fd = theirs.detach()
    yield Ends(ours, fd)
    ours.close()


class Ends:
    def __init__(self, link: socket.socket, fd: int) -> None:
        self.link, self.fd = link, fd


def test_an_order() -> None:
    order = orders.parse(json.dumps(GOOD).encode(), [5])
    assert (order.message, order.host_data) == (GOOD, b"\xab" * 32)


@pytest.mark.parametrize("count", [0, 4])
def test_another_number_of_descriptors(count: int) -> None:
    with pytest.raises(ParseError, check=lambda e: e.code == "order"):
        orders.parse(json.dumps(GOOD).encode(), list(range(count)))


@pytest.mark.parametrize(
    "change",
    [
        {"op": "stop"},
        {"more": 1},
        {"host_data": "ab" * 31},
        {"host_data": "AB" * 31 + "zz"},
        {"host_data": " " + "ab" * 32},
        {"host_data": 7},
        {"limits": {"memory": 1, "compile": 1}},
        {"limits": {**GOOD["limits"], "more": 1}},
        {"limits": {**GOOD["limits"], "memory": -1}},
        {"limits": {**GOOD["limits"], "memory": 1 << 63}},
        {"limits": {**GOOD["limits"], "memory": 1.0}},
        {"limits": {**GOOD["limits"], "memory": True}},
        {"skip_layers": "seccomp"},
        {"skip_layers": [1]},
    ],
)
def test_another_order(change: dict[str, Any]) -> None:
    with pytest.raises(ParseError, check=lambda e: e.code == "order"):
        orders.parse(json.dumps(GOOD | change).encode(), [5])


@pytest.mark.parametrize("message", [b"", b"{", b"\xff", b"[]", b"7", b"[" * 20_000, json.dumps(GOOD).encode()[:-1]])
def test_no_order(message: bytes) -> None:
    with pytest.raises(ParseError):
        orders.parse(message, [5])


def test_descriptors_come_beside_a_packet_and_nobody_inherits_them(link: Ends) -> None:
    reader, writer = os.pipe()
    socket.send_fds(link.link, [b"packet"], [reader, writer])
    receiver = orders.Orders(link.fd)
    message, fds = receiver.receive()
    assert message == b"packet"
    assert len(fds) == 2
    assert all(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC for fd in fds)
    orders.close([*fds, reader, writer])
    receiver.close()


def test_the_end_is_an_empty_packet(link: Ends) -> None:
    link.link.close()
    receiver = orders.Orders(link.fd)
    assert receiver.receive() == (b"", [])
    receiver.answer({"ok": True}, [])  # nobody is left, and nothing is raised
    receiver.close()


def test_a_link_that_is_reset_has_ended(link: Ends) -> None:
    """The host closes it before it reads the last answer, as after Ctrl-C."""
    receiver = orders.Orders(link.fd)
    receiver.answer({"ok": True}, [])
    link.link.close()
    assert receiver.receive() == (b"", [])
    receiver.close()


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (BackendError("layers-missing", "m", hint="h"), "layers-missing", "m"),
        (
            OSError(28, "No space left on device", "/state/key"),
            "hardware-failed",
            "No space left on device: /state/key",
        ),
        (ValueError("a secret"), "hardware-failed", "ValueError"),
    ],
)
def test_what_went_wrong_in_an_answer(error: Exception, code: str, text: str) -> None:
    answer = orders.refusal(error)
    assert (answer["ok"], answer["code"]) == (False, code)
    assert text in answer["message"]
    assert "a secret" not in str(answer)
    assert answer["hint"]


def test_where_nothing_works_every_order_is_told_why(link: Ends) -> None:
    thread = threading.Thread(target=orders.refuse_all, args=(link.fd, BackendError("broken", "m", hint="h")))
    thread.start()
    reader, writer = os.pipe()
    for _ in range(2):
        socket.send_fds(link.link, [json.dumps(GOOD).encode()], [writer])
        assert json.loads(link.link.recv(1024))["code"] == "broken"
    os.close(writer)
    assert os.read(reader, 1) == b""  # those that came beside the orders were closed
    os.close(reader)
    link.link.close()
    thread.join(20)
    assert not thread.is_alive()
