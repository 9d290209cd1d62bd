"""T9: the host drops, repeats, reorders, cuts, flips or forges output and status."""

from __future__ import annotations

import pytest

from enarx.delivery.output import OutputSealer
from enarx.delivery.session import Status
from enarx.delivery.suite import signing_key
from enarx.errors import DeliveryError, UnavailableError
from enarx.formats.wire import HEADER, FrameType
from tests.attacks.hostile import HostileLink, Scene

LONG = b"canary-stdin" * 100_000


def only(mangle):  # type: ignore[no-untyped-def]
    """Apply `mangle` to output frames only, with their number."""
    count = [0]

    def applied(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is not FrameType.OUTPUT:
            return [(kind, payload)]
        count[0] += 1
        return [(FrameType.OUTPUT, frame) for frame in mangle(count[0], payload)]

    return applied


@pytest.mark.parametrize(
    "mangle",
    [
        lambda n, p: [p, p],
        lambda n, p: [p[:-1] + bytes([p[-1] ^ 1])],
        lambda n, p: [p[:-1]],
        lambda n, p: [bytes(9) + p[9:]] if n > 1 else [p],
        lambda n, p: [p[:8] + bytes([p[8] ^ 1]) + p[9:]],
        lambda n, p: [b"\xff" * len(p)],
        lambda n, p: [b""],
    ],
    ids=["repeated", "flipped", "cut", "renumbered", "made final", "invented", "emptied"],
)
def test_mangled(scene: Scene, mangle) -> None:  # type: ignore[no-untyped-def]
    scene.refused(HostileLink(scene.keep(), to_tenant=only(mangle)), DeliveryError)


def test_dropped_output_is_known(scene: Scene) -> None:
    result = scene.play(HostileLink(scene.keep(), to_tenant=only(lambda n, p: [] if n == 2 else [p])), LONG)
    assert result.lost
    shown = sum(map(len, scene.output))
    assert result.status.stdout == len(LONG) > shown
    assert result.unproven[0] >= len(LONG) - shown
    assert result.unproven[1] == 0


def test_without_a_final_record_there_is_no_result(scene: Scene) -> None:
    final = only(lambda n, p: [] if p[8] else [p])
    scene.refused(HostileLink(scene.keep(), to_tenant=final), UnavailableError, "keep-lost")


def test_an_invented_status(scene: Scene) -> None:
    sealer = OutputSealer(secret=bytes(32), session=bytes(32), package=bytes(32), key=signing_key(bytes(32)))
    forged = sealer.final(Status(cause="exit", code=0))
    scene.refused(HostileLink(scene.keep(), to_tenant=only(lambda n, p: forged)), DeliveryError, "record-broken")


def test_another_keeps_output(scene: Scene) -> None:
    recorded: list[bytes] = []
    scene.play(HostileLink(scene.keep(), to_tenant=only(lambda n, p: (recorded.append(p), [p])[1])))
    scene.refused(
        HostileLink(scene.keep(), to_tenant=only(lambda n, p: [recorded[n - 1]])), DeliveryError, "record-broken"
    )
    assert HEADER.size == 5
