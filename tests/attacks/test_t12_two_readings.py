"""T12: one message has two encodings. The host re-encodes every message of an exchange; each is refused."""

from __future__ import annotations

import cbor2
import pytest

from enarx.errors import DeliveryError, ParseError
from enarx.formats.wire import FrameType
from tests.attacks.hostile import HostileLink, Scene


def loosened(payload: bytes) -> bytes:
    """Return the same value with its keys in another order."""
    value = cbor2.loads(payload)
    return cbor2.dumps(dict(reversed(value.items())))


@pytest.mark.parametrize("which", [FrameType.CHALLENGE, FrameType.DELIVERY])
def test_to_the_keep(scene: Scene, which: FrameType) -> None:
    def loosen(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        return [(kind, loosened(payload) if kind is which else payload)]

    scene.refused(HostileLink(scene.keep(), to_keep=loosen), DeliveryError, "cbor-encoding")


@pytest.mark.parametrize("which", [FrameType.ATTESTATION, FrameType.ATTACHED])
def test_to_the_tenant(scene: Scene, which: FrameType) -> None:
    def loosen(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        return [(kind, loosened(payload) if kind is which else payload)]

    with pytest.raises(ParseError, check=lambda e: e.code == "cbor-encoding"):
        scene.play(HostileLink(scene.keep(), to_tenant=loosen))
