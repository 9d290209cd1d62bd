"""T35: the host forges confirmations, so that a tenant believes that chunks arrived, or resumes too far ahead."""

from __future__ import annotations

import pytest

from enarx.delivery.stream import NUMBER
from enarx.delivery.tenant import Admission
from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType
from tests.attacks.hostile import EAGER, EXIT_CODE, HostileLink, Scene

FORGERIES = {
    "another number": lambda p: NUMBER.pack(2) + p[4:],
    "a number over all": lambda p: NUMBER.pack((1 << 32) - 1) + p[4:],
    "another tag": lambda p: p[:-1] + bytes([p[-1] ^ 1]),
    "no tag": lambda p: p[:4],
    "nothing": lambda p: b"",
    "more": lambda p: p + b"\0",
}


def confirming(forge):  # type: ignore[no-untyped-def]
    def mangle(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        return [(kind, forge(payload) if kind is FrameType.RECEIVED else payload)]

    return mangle


@pytest.mark.parametrize("name", FORGERIES)
def test_forged(scene: Scene, name: str) -> None:
    scene.refused(
        HostileLink(scene.keep(deadlines=EAGER), to_tenant=confirming(FORGERIES[name])),
        DeliveryError,
        "confirmation-broken",
    )
    assert scene.output == []


def test_of_another_delivery(scene: Scene) -> None:
    old: list[bytes] = []
    scene.play(HostileLink(scene.keep(deadlines=EAGER), to_tenant=confirming(lambda p: (old.append(p), p)[1])))
    scene.output.clear()
    link = HostileLink(scene.keep(deadlines=EAGER), to_tenant=confirming(lambda _: old[0]))
    scene.refused(link, DeliveryError, "confirmation-broken")


def test_repeated_and_reordered_ones_take_nothing_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    counts: list[int] = []
    received = Admission.received

    def noting(admission: Admission, payload: bytes) -> bool:
        moved = received(admission, payload)
        counts.append(admission.confirmed)
        return moved

    monkeypatch.setattr(Admission, "received", noting)

    def again(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is not FrameType.RECEIVED:
            return [(kind, payload)]
        seen.append(payload)
        return [(kind, old) for old in reversed(seen)]

    assert scene.play(HostileLink(scene.keep(deadlines=EAGER), to_tenant=again)).status.code == EXIT_CODE
    assert len(seen) > 1
    assert counts == sorted(counts)


def test_of_more_than_was_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a peer that has the key of confirmations. The tenant could not continue from a chunk that it has not sealed."""
    received = Admission.received

    def beyond(admission: Admission, payload: bytes) -> bool:
        assert admission._confirmer is not None
        assert admission._sealer is not None
        return received(admission, admission._confirmer.confirm(admission._sealer.sealed + 1))

    monkeypatch.setattr(Admission, "received", beyond)
    scene.refused(HostileLink(scene.keep(deadlines=EAGER)), DeliveryError, "confirmation-broken")
