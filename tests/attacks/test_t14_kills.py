"""T14: either side is killed at any step. The tenant sees 'lost' instead of a result, or a complete result.

Tests that kill real processes, and find them again, are in tests/e2e.
"""

from __future__ import annotations

import pytest

from enarx.errors import UnavailableError
from enarx.formats.wire import FrameType
from tests.attacks.hostile import EAGER, EXIT_CODE, FILE, HostileLink, Scene

TO_KEEP, TO_TENANT = 8, 8


@pytest.mark.parametrize("step", range(TO_KEEP))
def test_keep_dies_at(scene: Scene, step: int) -> None:
    keep, count = scene.keep(), [0]

    def killing(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        count[0] += 1
        if count[0] > step:
            keep.die()
            return []
        return [(kind, payload)]

    link = HostileLink(keep, to_keep=killing)
    try:
        result = scene.play(link)
    except UnavailableError as e:
        assert e.code in ("keep-lost", "host-lost")
        assert step < TO_KEEP
    else:
        assert result.status.code == EXIT_CODE
        assert b"".join(scene.output) == b"canary-stdin"


@pytest.mark.parametrize("step", range(TO_TENANT))
def test_connection_breaks_at(scene: Scene, step: int) -> None:
    count = [0]

    def breaking(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        count[0] += 1
        if count[0] > step:
            raise UnavailableError("host-lost", "the host's output breaks off")
        return [(kind, payload)]

    try:
        result = scene.play(HostileLink(scene.keep(), to_tenant=breaking))
    except UnavailableError as e:
        assert e.code == "host-lost"
    else:
        assert result.status.code == EXIT_CODE


@pytest.mark.parametrize("step", range(1, 7))
def test_connection_that_breaks_once_during_a_delivery_costs_nothing(scene: Scene, step: int) -> None:
    """Both directions reconnect, and the delivery resumes at a chunk that the Keep has confirmed."""
    count = [0]

    def once(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        count[0] += kind in (FrameType.DELIVERY, FrameType.CHUNK, FrameType.RECEIVED)
        if count[0] == step:
            count[0] += 1
            raise UnavailableError("host-lost", "the connection breaks")
        return [(kind, payload)]

    keep = scene.keep(deadlines=EAGER)
    result = scene.play(HostileLink(keep, to_keep=once, to_tenant=once))
    assert result.status.code == EXIT_CODE
    assert keep.files == {"0/file": FILE}
    assert count[0] > step
