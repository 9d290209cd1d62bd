"""T50: clients without a credential flood the daemon. That costs it a few MiB, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.attacks.network import MIB, Target, target

FLOOD = 152 * MIB
COST = 8 * MIB


@pytest.fixture
def daemon() -> Iterator[Target]:
    with target() as found:
        yield found


def send(connection: socket.socket, data: bytes, count: int) -> None:
    """Send as much as the daemon reads."""
    with contextlib.suppress(OSError):
        for _ in range(count):
            connection.sendall(data)


BEGUN = b"GET /v1/keeps HTTP/1.1\r\nHost: localhost\r\n"
SHAPES = {
    "one header without end": (1, BEGUN + b"A: ", b"a" * MIB),
    "many small headers": (1, BEGUN, b"a:b\r\n" * (MIB // 5)),
    "a path without end": (1, b"GET /", b"a" * MIB),
    "a method without end": (1, b"", b"G" * MIB),
    "empty lines": (1, b"", b"\r\n" * (MIB // 2)),
    "a thousand connections, each with as much as it may": (1000, BEGUN + b"A: ", b"a" * (15 << 10)),
    "a thousand connections, each with too much": (1000, BEGUN + b"A: ", b"a" * (152 << 10)),
    "requests behind requests": (1, b"", (BEGUN + b"\r\n") * (MIB // 50)),
    "a body that nobody wants": (1, BEGUN + b"Content-Length: 999999999\r\n\r\n", b"a" * MIB),
    "trailers": (1, BEGUN + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * (MIB // 6)),
    "extensions of chunks": (1, BEGUN + b"Transfer-Encoding: chunked\r\n\r\n1;", b"e" * MIB),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flood_costs_little(daemon: Target, shape: str) -> None:
    connections, begin, piece = SHAPES[shape]
    before = daemon.memory()
    for _ in range(connections):
        connection = daemon.raw(begin)
        send(connection, piece, max(1, FLOOD // len(piece) // connections))
    assert daemon.healthy()
    assert daemon.memory("VmHWM") - before < COST
    assert daemon.enarx("keep", "list") == 0


def test_many_addresses_share_one_bound(daemon: Target) -> None:
    """Each connection and each address stays within its own bounds: only the bound on all of them together holds."""
    before = daemon.memory()
    for number in range(1000):
        connection = daemon.raw(BEGUN + b"A: ", f"127.0.0.{2 + number % 8}")
        send(connection, b"a" * (15 << 10), 1)
    assert any(daemon.healthy() for _ in range(3)), "it answers once it has read the flood"
    assert daemon.memory("VmHWM") - before < COST
    assert daemon.enarx("keep", "list") == 0


def test_connections_without_end_shut_nobody_out(daemon: Target) -> None:
    before = daemon.memory()
    for _ in range(3000):
        daemon.raw()
        if len(daemon.sockets) > 1500:
            daemon.sockets.pop(0).close()
    assert daemon.healthy()
    assert daemon.enarx("keep", "list") == 0
    assert daemon.memory("VmHWM") - before < COST
