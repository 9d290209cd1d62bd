"""T52: requests that two programs would parse differently. The daemon refuses them, and reads no byte after them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.attacks.network import TOKEN, Target, target
from tests.host.test_requests import SMUGGLED

STOLEN = b"GET /v1/keeps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Target]:
    with target() as found:
        yield found


@pytest.mark.parametrize("name", SMUGGLED)
def test_a_request_that_could_be_two(daemon: Target, name: str) -> None:
    answer = daemon.ask(SMUGGLED[name] + b"0\r\n\r\n" + STOLEN)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"malformed"' in answer
    assert len(re.findall(rb"HTTP/1\.1 [0-9]{3} ", answer)) == 1


BODIES = {
    "a size with a sign": b"+1\r\na\r\n0\r\n\r\n",
    "a size in other digits": b"0x1\r\na\r\n0\r\n\r\n",
    "line feeds alone": b"1\na\n0\n\n",
    "more than the size": b"1\r\nab\r\n0\r\n\r\n",
    "a size that overflows": b"10000000000000001\r\na\r\n0\r\n\r\n",
    "a carriage return in an extension": b"1;\ra\r\na\r\n0\r\n\r\n",
    "a trailer that folds": b"0\r\na: b\r\n c\r\n\r\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_chunked_body_that_could_be_two(daemon: Target, name: str) -> None:
    head = STOLEN.replace(b"GET /v1/keeps", b"POST /v1/keeps").removesuffix(b"\r\n")
    answer = daemon.ask(head + b"Transfer-Encoding: chunked\r\n\r\n" + BODIES[name] + STOLEN)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert len(re.findall(rb"HTTP/1\.1 [0-9]{3} ", answer)) == 1


def test_trailers_give_nobody_a_token(daemon: Target) -> None:
    begin = b"POST /v1/prune HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    answer = daemon.ask(begin + f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401 ")
