"""T8: the host drops, repeats, reorders, splices, cuts or flips the sealed package. The Keep refuses it under seal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from enarx.errors import UnavailableError
from enarx.formats.wire import CHUNK, FrameType
from tests.attacks.hostile import EXIT_CODE, FILE, HostileLink, Scene

Chunks = list[bytes]


def flip(chunk: bytes) -> bytes:
    return chunk[:100] + bytes([chunk[100] ^ 4]) + chunk[101:]


MANGLES: dict[str, Callable[[Chunks], Chunks]] = {
    "dropped first": lambda c: c[1:],
    "dropped middle": lambda c: [c[0], *c[2:]],
    "renumbered": lambda c: [c[0], c[1][:4] + c[0][4:], *c[1:]],
    "numbered ahead": lambda c: [c[0], b"\0\0\0\7" + c[1][4:], *c[1:]],
    "reordered": lambda c: [c[1], c[0], *c[2:]],
    "flipped": lambda c: [flip(c[0]), *c[1:]],
    "flipped last": lambda c: [*c[:-1], flip(c[-1])],
    "cut within": lambda c: [c[0][:-100], *c[1:]],
    "last first": lambda c: [c[-1]],
    "spliced": lambda c: [c[0][:5000] + c[1][5000:], *c[1:]],
}


@pytest.mark.parametrize("name", MANGLES)
def test_mangled(scene: Scene, name: str) -> None:
    chunks: Chunks = []

    def hold(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is not FrameType.CHUNK:
            return [(kind, payload)]
        chunks.append(payload)
        if len(chunks) < 3:
            return []
        return [(FrameType.CHUNK, chunk) for chunk in MANGLES[name](chunks)]

    keep = scene.keep()
    result = scene.play(HostileLink(keep, to_keep=hold))
    assert result.status.cause == "refused"
    assert result.status.message.split(":")[0] in ("stream-broken", "stream-chunk", "stream-order")
    assert scene.output == []
    assert keep.start is None


def test_repeated_chunks_are_passed_over(scene: Scene) -> None:
    """As after an interruption: no chunk is opened twice."""
    keep = scene.keep()
    result = scene.play(HostileLink(keep, to_keep=lambda k, p: [(k, p)] * (3 if k is FrameType.CHUNK else 1)))
    assert result.status.code == EXIT_CODE
    assert keep.files == {"0/file": FILE}


def test_cut_off_is_lost(scene: Scene) -> None:
    """Without its last chunk a package never runs. The host can only end the Keep."""

    def cut(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        last = kind is FrameType.CHUNK and len(payload) < CHUNK
        if last:
            keep.die()
        return [] if last else [(kind, payload)]

    keep = scene.keep()
    scene.refused(HostileLink(keep, to_keep=cut), UnavailableError, "keep-lost")
    assert keep.core.state == "receiving"
    assert keep.start is None
