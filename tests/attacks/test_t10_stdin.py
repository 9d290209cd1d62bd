"""T10: the host replays, drops, reorders, flips or forges stdin. That ends the attachment, and never the workload."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.delivery.session import CHANNEL_HEADER
from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType
from tests.attacks.hostile import HostileLink, Scene
from tests.attacks.proxy import Cut, Frame, Proxy
from tests.programs import module

LONG = b"canary-stdin" * 300_000


@pytest.mark.parametrize(
    "mangle",
    [
        lambda n, p: [p, p],
        lambda n, p: [] if n == 1 else [p],
        lambda n, p: [p[:-1] + bytes([p[-1] ^ 1])],
        lambda n, p: [p[:4] + b"\xff" * (len(p) - 4)],
        lambda n, p: [p[:6]],
    ],
    ids=["replayed", "dropped", "flipped", "invented", "cut"],
)
def test_mangled(scene: Scene, mangle) -> None:  # type: ignore[no-untyped-def]
    count = [0]

    def applied(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is not FrameType.INPUT:
            return [(kind, payload)]
        count[0] += 1
        return [(kind, frame) for frame in mangle(count[0], payload)]

    keep = scene.keep()
    link = HostileLink(keep, to_keep=applied)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "attachment-broken"):
        scene.play(link, LONG)
    assert LONG.startswith(b"".join(scene.output))
    assert not keep.over, "a host's junk never ends a job"


def test_frames_that_are_not_the_tenants(scene: Scene) -> None:
    def more(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        return [(kind, payload), *([(FrameType.CHALLENGE, b"junk")] if kind is FrameType.ATTACH else [])]

    keep = scene.keep()
    with pytest.raises(DeliveryError, check=lambda e: e.code == "attachment-broken"):
        scene.play(HostileLink(keep, to_keep=more))
    assert not keep.over


def test_an_attachment_that_is_answered_again_begins_no_numbers_again(host: Proxy, home: Path) -> None:
    """Two records under one key and one nonce would reveal the difference of their plaintexts."""
    answers: list[Frame] = []
    sealed: dict[bytes, set[bytes]] = {}

    def again(kind: FrameType, payload: bytes) -> list[Frame]:
        if kind is FrameType.ATTACHED:
            answers.append((kind, payload))
        if kind is FrameType.REPLY and sealed:
            return []  # it would tell that the Keep goes on where the answer began
        return [(kind, payload), *(answers if kind is FrameType.OUTPUT else [])]

    def seen(kind: FrameType, payload: bytes) -> list[Frame]:
        if kind is FrameType.INPUT:
            sealed.setdefault(payload[: CHANNEL_HEADER.size], set()).add(payload)
        return [(kind, payload)]

    host.to_tenant, host.to_keep = again, seen
    (home / "cat.wasm").write_bytes(module("cat"))
    try:
        found = host.deploy(home / "cat.wasm", stdin=LONG)
    finally:  # else the command waits in vain for a Keep that is told what it does not take
        assert all(len(payloads) == 1 for payloads in sealed.values()), "one nonce for two records"
    assert len(sealed) > 4
    assert (found.returncode, found.stdout) == (0, LONG)


def test_input_that_the_host_does_not_take_ends_the_command(host: Proxy, home: Path) -> None:
    """The workload waits for stdin that never comes. The command does not wait with it."""

    def cut(kind: FrameType, payload: bytes) -> list[Frame]:
        if kind is FrameType.INPUT:
            raise Cut
        return [(kind, payload)]

    host.to_keep = cut
    (home / "cat.wasm").write_bytes(module("cat"))
    found = host.deploy(home / "cat.wasm", stdin=LONG)
    assert found.returncode == 127
    assert b"the session is kept" in found.stderr
