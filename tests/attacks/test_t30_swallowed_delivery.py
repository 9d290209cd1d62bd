"""T30: the host takes a delivery, reports success, and forwards nothing; or its connections break half-way."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from enarx.formats.wire import FrameType
from tests.attacks.hostile import EAGER, HostileLink, Scene
from tests.attacks.proxy import Cut, Frame, Proxy
from tests.programs import module

SWALLOWS = {
    "everything": lambda kind: kind in (FrameType.DELIVERY, FrameType.CHUNK),
    "the chunks": lambda kind: kind is FrameType.CHUNK,
}


@pytest.fixture
def hello(home: Path) -> Path:
    path = home / "hello.wasm"
    path.write_bytes(module("hello"))
    return path


@pytest.mark.parametrize("what", SWALLOWS)
def test_a_detached_deployment_does_not_succeed(host: Proxy, hello: Path, what: str) -> None:
    host.to_keep = lambda kind, payload: [] if SWALLOWS[what](kind) else [(kind, payload)]
    found = host.deploy("--detach", hello)
    assert found.returncode == 127, found.stderr
    assert found.stdout == b""
    assert b"no progress for 3 s" in found.stderr
    said = re.search(rb"the session is kept: (\S+)", found.stderr)
    assert said is not None
    assert Path(said[1].decode()).stat().st_mode & 0o777 == 0o600


def test_an_attached_deployment_says_so_and_ends(host: Proxy, hello: Path) -> None:
    host.to_keep = lambda kind, payload: [] if SWALLOWS["everything"](kind) else [(kind, payload)]
    found = host.deploy(hello)
    assert (found.returncode, found.stdout) == (127, b"")
    assert b"no progress for 3 s" in found.stderr
    assert host.behind.keeps() == {}


def test_a_dropped_acceptance_is_no_success(host: Proxy, hello: Path) -> None:
    host.to_tenant = lambda kind, payload: [] if kind is FrameType.OUTPUT else [(kind, payload)]
    assert host.deploy("--detach", hello).returncode == 127


def test_later_records_do_not_stand_for_the_acceptance(host: Proxy, hello: Path) -> None:
    host.to_tenant = lambda kind, payload: (
        [] if kind is FrameType.OUTPUT and payload[:8] == bytes(8) else [(kind, payload)]
    )
    found = host.deploy("--detach", hello)
    assert found.returncode == 127
    assert b"acceptance" in found.stderr


def test_a_host_that_never_attests(host: Proxy, hello: Path) -> None:
    host.to_keep = lambda *_: []
    found = host.deploy("--detach", hello)
    assert found.returncode == 127
    assert b"did not attest within 3 s" in found.stderr


def test_an_honest_host_is_believed_under_seal(host: Proxy, hello: Path) -> None:
    found = host.deploy("--detach", hello)
    assert found.returncode == 0, found.stderr
    (keep,) = host.behind.keeps()
    assert found.stdout.decode().strip() == keep


@pytest.mark.parametrize("at", [2, 20, 40])
def test_a_broken_connection_is_taken_up_at_a_confirmed_chunk(host: Proxy, home: Path, hello: Path, at: int) -> None:
    (home / "data").mkdir()
    (home / "data" / "file").write_bytes(random.Random(3).randbytes(20 << 20))
    seen: list[FrameType] = []

    def once(kind: FrameType, payload: bytes) -> list[Frame]:
        seen.append(kind)
        if len(seen) == at + 2:
            raise Cut
        return [(kind, payload)]

    host.to_keep = once
    found = host.deploy("--dir", f"{home}/data::/data", hello, patience=20)
    assert (found.returncode, found.stdout) == (0, b"hello\n"), found.stderr
    assert seen.count(FrameType.DELIVERY) == 2
    assert seen.count(FrameType.CHUNK) <= 41 + min(at, 2 * 16 + 1), "it does not begin again"


@pytest.mark.parametrize("times", [1, 1_000_000])
def test_repeating_an_old_confirmation_is_no_progress(scene: Scene, times: int) -> None:
    """However often it is repeated, the tenant's deadline stays."""
    from enarx.errors import UnavailableError

    old: list[bytes] = []

    def repeat(kind: FrameType, payload: bytes) -> list[Frame]:
        if kind is FrameType.RECEIVED:
            old.append(payload)
        if kind is FrameType.OUTPUT:
            return [(FrameType.RECEIVED, old[0])] * times
        return [(kind, payload)]

    begun = time.monotonic()
    with pytest.raises(UnavailableError, check=lambda e: e.code == "delivery-stalled"):
        scene.deliver(HostileLink(scene.keep(deadlines=EAGER), to_tenant=repeat), patience=1)
    assert time.monotonic() - begun < 6, "every repetition was taken for progress"
