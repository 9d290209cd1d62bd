"""Stdin over broken connections: what is kept, what is sent again, and when a run gives up."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from enarx.delivery.session import MAX_DATA
from enarx.errors import DeliveryError, UnavailableError
from enarx.tenant import deploy
from enarx.tenant.deploy import Run
from enarx.tenant.stdin import Unconfirmed
from tests.exchange import session


def taken(stdin: Unconfirmed, offset: int) -> list[tuple[int, bytes]]:
    return [(at, bytes(data)) for at, data in stdin.rewind(offset)]


def test_it_is_read_once_and_given_again() -> None:
    stdin = Unconfirmed(iter([b"abc", b"", b"def"]))
    assert taken(stdin, 0) == [(0, b"abc"), (3, b"def")]
    assert taken(stdin, 0) == [(0, b"abc"), (3, b"def")]
    assert taken(stdin, 4) == [(4, b"ef")]
    assert taken(stdin, 6) == []


def test_it_starts_where_the_keep_has_got_to() -> None:
    stdin = Unconfirmed(io.BytesIO(b"second"))
    assert taken(stdin, 100) == [(100, b"second")]
    assert taken(stdin, 103) == [(103, b"ond")]


@pytest.mark.parametrize("offset", [99, 107])
def test_an_offset_that_the_keep_cannot_want(offset: int) -> None:
    stdin = Unconfirmed(io.BytesIO(b"second"))
    taken(stdin, 100)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "stdin-offset"):
        taken(stdin, offset)


def test_what_is_confirmed_is_let_go_of() -> None:
    stdin = Unconfirmed(iter([b"abc", b"def", b"ghi"]))
    taken(stdin, 0)
    stdin.confirm(5)
    assert [at for at, _ in stdin._kept] == [3, 6]
    stdin.confirm(9)
    assert not stdin._kept


def test_an_interruption_in_the_middle_of_reading() -> None:
    stdin = Unconfirmed(iter([b"abc", b"def", b"ghi"]))
    pieces = stdin.rewind(0)
    assert [next(pieces), next(pieces)] == [(0, b"abc"), (3, b"def")]
    assert taken(stdin, 2) == [(2, b"c"), (3, b"def"), (6, b"ghi")]


def test_sources() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"pipe")
    os.close(writing)
    large = bytes(MAX_DATA + 1)
    for source, wanted in (
        (None, []),
        (reading, [b"pipe"]),
        (io.BufferedReader(io.BytesIO(b"file")), [b"file"]),  # type: ignore[arg-type]  # a file of bytes
        ([large], [large[:MAX_DATA], large[:1]]),
    ):
        assert [data for _, data in taken(Unconfirmed(source), 0)] == wanted
    os.close(reading)


class Away:
    """A link whose host is away, from the first call or until `back`."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.tries = 0
        self.closed = threading.Event()

    def send(self, _: Any, size: int | None = None) -> None:
        raise UnavailableError(self.code, "away")

    def receive(self, _: int) -> Iterator[Any]:
        self.tries += 1
        raise UnavailableError(self.code, "away")
        yield

    def close(self) -> None:
        self.closed.set()


@pytest.mark.parametrize(
    ("code", "tries"), [("host-lost", deploy.TRIES + 1), ("host-down", 1), ("ended", 1), ("host-gone", 1)]
)
def test_how_often_a_host_is_tried(code: str, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was never there, or a Keep that is gone, is not waited for."""
    monkeypatch.setattr(deploy, "FIRST_PAUSE", 0.001)
    link = Away(code)
    interrupted: list[str] = []
    run = Run(link=link, session=session(), interrupted=lambda e: interrupted.append(e.code))  # type: ignore[arg-type]
    with pytest.raises(UnavailableError, check=lambda e: e.code == code):
        run.serve()
    assert link.tries <= tries
    assert link.tries == tries or code == "host-lost"  # there the sending half may give up first
    assert set(interrupted) == ({code} if tries > 1 else set())
    assert run.settled.is_set()


def test_what_reading_stdin_raises_ends_the_run() -> None:
    def broken() -> Iterator[bytes]:
        raise LookupError("mine")
        yield b""

    with pytest.raises(LookupError):
        taken(Unconfirmed(broken()), 0)
