"""T6: the host delivers a package, public or seen before, with secrets of its own."""

from __future__ import annotations

import os

from enarx.delivery.messages import Attestation, Delivery, binding, sealed_keys, verifier_id
from enarx.delivery.suite import commit_keys, hpke_seal, signing_key
from enarx.delivery.tenant import Admission
from enarx.errors import DeliveryError
from enarx.formats.wire import HEADER, FrameType
from enarx.record import replace
from tests.attacks.hostile import HostileLink, Scene

KEYS = sealed_keys(stream=b"\5" * 32, session=b"\6" * 32)


class Knowing(HostileLink):
    """A host that computes what the owner signs, from the messages that it has seen."""

    def bound(self, scene: Scene, delivery: Delivery) -> bytes:
        return binding(
            challenge=self.seen[0][HEADER.size :],
            attestation=self.seen[1][HEADER.size :],
            package=scene.package.manifest.digest,
            commitment=delivery.commitment,
            time=delivery.time,
        )

    def seal(self, scene: Scene, delivery: Delivery) -> bytes:
        """The host's own keys, sealed for the Keep as the owner seals them."""
        attestation = Attestation.from_bytes(self.seen[1][HEADER.size :])
        return hpke_seal(KEYS, attestation.hpke, info=self.bound(scene, delivery))


def test_the_host_is_no_owner(scene: Scene) -> None:
    keep, host = scene.keep(), Admission(manifest=scene.package.manifest, owner_seed=b"\7" * 32, nonce=os.urandom(32))
    keep.receive(host.challenge())
    attestation = keep.out.get(timeout=5)
    assert attestation is not None
    host.attestation(attestation[1])
    keep.receive(host.delivery(entropy=os.urandom(64), now=1)[0])
    refusal = keep.out.get(timeout=5)
    assert refusal is not None
    assert (refusal[0], b"not-an-owner" in refusal[1]) == (FrameType.REFUSAL, True)
    assert keep.stored == []


def test_the_host_reseals(scene: Scene) -> None:
    """It knows every public value, so it can seal keys of its own for the Keep, but it cannot have them signed."""

    def reseal(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is FrameType.DELIVERY:
            delivery = Delivery.from_bytes(payload)
            payload = replace(delivery, sealed=link.seal(scene, delivery)).to_bytes()
        return [(kind, payload)]

    link = Knowing(scene.keep(), to_keep=reseal)
    scene.refused(link, DeliveryError, "key-commitment")
    assert link.keep.stored == []


def test_the_host_reseals_and_commits(scene: Scene) -> None:
    """A commitment to its own keys is not the one that the owner signed."""

    def reseal(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is FrameType.DELIVERY:
            delivery = replace(Delivery.from_bytes(payload), commitment=commit_keys(KEYS))
            payload = replace(delivery, sealed=link.seal(scene, delivery)).to_bytes()
        return [(kind, payload)]

    link = Knowing(scene.keep(), to_keep=reseal)
    scene.refused(link, DeliveryError, "owner-signature")
    assert link.keep.stored == []


def test_the_host_signs(scene: Scene) -> None:
    key = signing_key(b"\7" * 32)
    owner = key.public_key().public_bytes_raw()

    def sign(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is FrameType.DELIVERY:
            delivery = Delivery.from_bytes(payload)
            signature = key.sign(link.bound(scene, delivery))
            payload = replace(delivery, owner=owner, signature=signature).to_bytes()
        return [(kind, payload)]

    link = Knowing(scene.keep(), to_keep=sign)
    scene.refused(link, DeliveryError, "not-an-owner")
    assert verifier_id(owner) not in link.seen[0]
