"""T56: a client blocks the input of a Keep, or sends frames of its own to end a running job."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attacks.abuse import Host, raw
from tests.e2e.harness import until

Make = Callable[..., Host]
Wasm = Callable[[str], Path]
CHALLENGE, INPUT = 1, 5
MAX_FRAME = (1 << 20) + (64 << 10)


@contextlib.contextmanager
def body_that_comes(host: Host, keep: str, pieces: Iterator[bytes]) -> Iterator[Callable[[], tuple[int, bytes]]]:
    """Send a request whose body consists of `pieces` and never ends; return its answer."""
    with contextlib.closing(host.client.connect()) as connection:
        connection.putrequest("POST", f"/v1/keeps/{keep}/input")
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()
        for piece in pieces:
            connection.send(piece)

        def answer() -> tuple[int, bytes]:
            found = connection.getresponse()
            return found.status, found.read()

        yield answer


@pytest.mark.parametrize("begun", [b"", raw(INPUT, length=1000)[:3], raw(INPUT, bytes(500), length=1000)], ids=len)
def test_a_body_that_never_comes_gives_way(hosts: Make, begun: bytes) -> None:
    one = hosts()
    keep = one.launch()
    with body_that_comes(one, keep, iter([begun])) as answer:
        until(lambda: one.error("POST", f"keeps/{keep}/input", b"") == "busy", "the slot to be held", 20)
        until(lambda: one.error("POST", f"keeps/{keep}/input", b"") == "", "the slot to be free", 10)
        assert answer()[0] == 408


def test_a_body_that_trickles_gives_way(hosts: Make) -> None:
    """Single bytes do not count as progress; whole frames do."""
    one = hosts()
    keep = one.launch()

    def trickle() -> Iterator[bytes]:
        yield raw(INPUT, length=1000)
        for _ in range(7):
            time.sleep(1)
            yield b"x"

    with body_that_comes(one, keep, trickle()) as answer:
        assert one.error("POST", f"keeps/{keep}/input", b"") == ""
        assert answer()[0] == 408


STRANGE = {
    "type 0": (raw(0), "frame-type"),
    "a type of the future": (raw(99, b"x"), "frame-type"),
    "type 255": (raw(255), "frame-type"),
    "a Keep's": (raw(67, b"x" * 100), "frame-type"),
    "empty": (raw(INPUT, length=0), "frame-size"),
    "too large": (raw(INPUT, length=MAX_FRAME + 1), "frame-size"),
    "largest length": (raw(INPUT, length=0xFFFFFFFF), "frame-size"),
    "cut in the head": (raw(INPUT)[:4], "cut"),
    "cut": (raw(INPUT, b"x", length=100), "cut"),
}


def test_frames_that_no_tenant_sends_end_their_request_and_no_job(hosts: Make, wasm: Wasm) -> None:
    one = hosts()
    found = one.daemon.deploy("--detach", wasm("slow"))
    assert found.returncode == 0, found.stderr
    keep = found.stdout.decode().strip()
    for name, (data, wanted) in STRANGE.items():
        assert one.error("POST", f"keeps/{keep}/input", data) == wanted, name
    assert one.states() == {keep: "running"}
    assert one.daemon.keep("attach", keep).stdout == b"tick\n" * 10
