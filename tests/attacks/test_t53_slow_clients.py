"""T53: clients send or read as slowly as they can. Each has a deadline, and holds no resource after it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.network import TOKEN, Target, target

BEARER = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Target]:
    with target() as found:
        yield found


def ends(daemon: Target, data: bytes, dribble: bytes = b"", seconds: float = 20) -> bytes:
    """Return the daemon's answer when it gives up on a client, which must be within `seconds`."""
    connection = daemon.raw(data)
    connection.settimeout(1)
    end, found = time.monotonic() + seconds, b""
    while True:
        assert time.monotonic() < end, "it is still waited for"
        with contextlib.suppress(TimeoutError):
            piece = connection.recv(65536)
            found += piece
            if not piece:
                return found
        if dribble and not found:
            with contextlib.suppress(OSError):
                connection.send(dribble[:1])
                dribble = dribble[1:] or b"a"


def test_a_head_byte_by_byte(daemon: Target) -> None:
    assert b'"slow"' in ends(daemon, b"GET /healthz HTTP/1.1\r\n", b"A: " + b"a" * 100)


def test_a_head_byte_by_byte_costs_what_it_weighs(daemon: Target) -> None:
    """Bytes are parsed once: 3,000 more bytes of a head do not cost 3,000 passes over all of it."""
    assert daemon.daemon.process is not None
    before = seconds(daemon.daemon.process.pid)
    connection = daemon.raw(b"GET /healthz HTTP/1.1\r\nA: " + b"a" * 12000)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(3000):
        connection.send(b"a")
        time.sleep(0.0005)
    assert seconds(daemon.daemon.process.pid) - before < 0.7
    connection.send(b"\r\nHost: localhost\r\n\r\n")
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def seconds(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_connection_that_says_nothing(daemon: Target) -> None:
    assert ends(daemon, b"") == b""


def test_a_body_that_never_comes(daemon: Target) -> None:
    answer = ends(daemon, f"POST /v1/keeps HTTP/1.1\r\n{BEARER}Content-Length: 9\r\n\r\n".encode(), seconds=40)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"slow"' in answer


def test_hundreds_of_them_hold_nobody_up(daemon: Target) -> None:
    for _ in range(300):
        daemon.raw(f"POST /v1/keeps HTTP/1.1\r\n{BEARER}Content-Length: 9\r\n\r\n".encode())
        daemon.raw(b"GET /healthz HTTP/1.1\r\n")
    assert daemon.healthy()
    assert daemon.enarx("keep", "list") == 0


def test_answers_that_nobody_reads(daemon: Target) -> None:
    """They stay in the system's buffers and in 64 KiB of the daemon's; the daemon does not read on."""
    before = daemon.memory()
    connection = daemon.raw()
    connection.settimeout(1)
    with pytest.raises(OSError):
        for _ in range(1000):
            connection.sendall(f"GET /v1/openapi.json HTTP/1.1\r\n{BEARER}\r\n".encode() * 500)
    assert daemon.memory() - before < 4 << 20
    assert daemon.healthy()
