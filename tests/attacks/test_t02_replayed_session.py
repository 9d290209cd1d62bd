"""T2: the host replays a whole earlier session, or challenges a Keep twice."""

from __future__ import annotations

from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType
from tests.attacks.hostile import HostileLink, Scene


def test_replayed_to_the_tenant(scene: Scene) -> None:
    recorded: list[tuple[FrameType, bytes]] = []

    def record(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        recorded.append((kind, payload))
        return [(kind, payload)]

    scene.play(HostileLink(scene.keep(), to_tenant=record))
    scene.output.clear()
    scene.refused(HostileLink(scene.keep(), to_tenant=lambda *_: recorded), DeliveryError, "other-challenge")
    assert scene.output == []


def test_replayed_to_a_keep(scene: Scene) -> None:
    first = HostileLink(scene.keep())
    scene.play(first)
    again = scene.keep()
    for frame in first.sent:
        again.receive(frame)
    assert again.core.state == "refused"
    assert again.stored == []
    assert [kind for kind, _ in iter(again.out.get, None)] == [FrameType.ATTESTATION, FrameType.REFUSAL]


def test_a_second_challenge(scene: Scene) -> None:
    def twice(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        return [(kind, payload)] * (2 if kind is FrameType.CHALLENGE else 1)

    keep = scene.keep()
    scene.refused(HostileLink(keep, to_keep=twice), DeliveryError, "unexpected-message")
    assert keep.core.state == "refused"
    assert keep.stored == []
