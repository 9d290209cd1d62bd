"""T7: the host floods a Keep with data from nobody."""

from __future__ import annotations

import pytest

from enarx.errors import DeliveryError
from enarx.formats.wire import CHUNK, FrameType
from tests.attacks.hostile import HostileLink, Scene


@pytest.mark.parametrize("kind", [FrameType.CHUNK, FrameType.DELIVERY, FrameType.INPUT, FrameType.ATTACH])
def test_nothing_is_read_before_an_owner_has_signed(scene: Scene, kind: FrameType) -> None:
    keep = scene.keep()
    keep.take(kind, bytes(CHUNK))
    refusal = keep.out.get(timeout=5)
    assert refusal is not None
    assert refusal[0] is FrameType.REFUSAL
    assert keep.over
    assert keep.receiver is None


def test_data_before_the_owners(scene: Scene) -> None:
    def first(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        junk = [(FrameType.CHUNK, bytes(CHUNK))] if kind is FrameType.DELIVERY else []
        return [*junk, (kind, payload)]

    keep = scene.keep()
    scene.refused(HostileLink(keep, to_keep=first), DeliveryError, "unexpected-message")
    assert keep.manifest is None
