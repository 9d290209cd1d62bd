"""T7: the host floods a Keep with data that no owner sent."""

from __future__ import annotations

import os
import time

import pytest

from enarx.delivery.tenant import Admission, refusal_code
from enarx.errors import DeliveryError
from enarx.formats.wire import CHUNK, HEADER, LARGEST, FrameType, frame
from tests.attacks.hostile import HostileLink, Scene, raw
from tests.attacks.real import Machine


@pytest.mark.parametrize("kind", [FrameType.CHUNK, FrameType.DELIVERY, FrameType.INPUT, FrameType.ATTACH])
def test_nothing_is_read_before_an_owner_has_signed(scene: Scene, kind: FrameType) -> None:
    keep = scene.keep()
    keep.receive(raw(kind, bytes(CHUNK)))
    refusal = keep.out.get(timeout=5)
    assert refusal is not None
    assert refusal[0] is FrameType.REFUSAL
    assert keep.over
    assert keep.stored == []


@pytest.mark.parametrize("kind", [kind for kind in FrameType if kind is not FrameType.CHALLENGE])
def test_a_real_keep_refuses_anything_but_a_challenge(machine: Machine, kind: FrameType) -> None:
    """Including types that only a Keep sends: a host can only make the moves of a tenant."""
    wire = machine.keep()
    wire.send([frame(kind, bytes(LARGEST[kind]))])
    assert refusal_code(wire.wait(FrameType.REFUSAL)) == "unexpected-message"
    wire.until_end()


def test_a_real_keep_reads_no_frame_that_its_type_does_not_allow(machine: Machine) -> None:
    """The header decides. The rest of the frame never comes, and the Keep does not wait for it."""
    for head in (HEADER.pack(LARGEST[FrameType.CHALLENGE] + 2, FrameType.CHALLENGE), HEADER.pack(1 << 20, 77)):
        wire = machine.keep()
        wire.send([head])
        assert refusal_code(wire.wait(FrameType.REFUSAL)) in ("frame-size", "frame-type")
        wire.until_end()


@pytest.mark.parametrize("kind", [kind for kind in FrameType if kind not in (FrameType.CHUNK, FrameType.DELIVERY)])
def test_a_real_keep_that_receives_refuses_under_seal(machine: Machine, kind: FrameType) -> None:
    wire = machine.keep()
    built = machine.package("hello")
    admission = Admission(manifest=built.manifest, owner_seed=machine.owners.seed, nonce=os.urandom(32))
    wire.send([admission.challenge()])
    admission.attestation(wire.wait(FrameType.ATTESTATION))
    delivery, session = admission.delivery(entropy=os.urandom(64), now=int(time.time()))
    wire.send([delivery, frame(kind, b"")])
    final = session.opener().open(wire.wait(FrameType.OUTPUT)).final
    assert final is not None
    assert final.status.cause == "refused"
    assert final.status.message.startswith("unexpected-message")


def test_data_before_the_owners(scene: Scene) -> None:
    def first(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        junk = [(FrameType.CHUNK, bytes(CHUNK))] if kind is FrameType.DELIVERY else []
        return [*junk, (kind, payload)]

    keep = scene.keep()
    scene.refused(HostileLink(keep, to_keep=first), DeliveryError, "unexpected-message")
    assert keep.core.state == "refused"
    assert keep.stored == []
