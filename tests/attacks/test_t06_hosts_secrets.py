"""T6: the host delivers a package, public or seen before, with secrets of its own."""

from __future__ import annotations

import os

from enarx.delivery.messages import Delivery, verifier_id
from enarx.delivery.suite import hpke_seal, signing_key
from enarx.delivery.tenant import Admission
from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType
from enarx.record import replace
from tests.attacks.hostile import HostileLink, Scene


def test_the_host_is_no_owner(scene: Scene) -> None:
    keep, host = scene.keep(), Admission(manifest=scene.package.manifest, owner_seed=b"\7" * 32, nonce=os.urandom(32))
    keep.take(FrameType.CHALLENGE, host.challenge()[5:])
    attestation = keep.out.get(timeout=5)
    assert attestation is not None
    host.attestation(attestation[1])
    keep.take(FrameType.DELIVERY, host.delivery(entropy=os.urandom(64), now=1)[0][5:])
    refusal = keep.out.get(timeout=5)
    assert refusal is not None
    assert (refusal[0], b"not-an-owner" in refusal[1]) == (FrameType.REFUSAL, True)
    assert keep.manifest is None


def test_the_host_reseals(scene: Scene) -> None:
    """Every public value is known to it, so it can seal keys of its own for the Keep, but not have them signed."""

    def reseal(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is FrameType.DELIVERY:
            delivery = Delivery.from_bytes(payload)
            bound = keep.protocol._bind(delivery)
            sealed = hpke_seal(os.urandom(64), keep.protocol._hpke_public, info=bound)
            payload = replace(delivery, sealed=sealed).to_bytes()
        return [(kind, payload)]

    keep = scene.keep()
    scene.refused(HostileLink(keep, to_keep=reseal), DeliveryError, "key-commitment")


def test_the_host_signs(scene: Scene) -> None:
    key = signing_key(b"\7" * 32)

    def sign(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is FrameType.DELIVERY:
            delivery = Delivery.from_bytes(payload)
            signature = key.sign(keep.protocol._bind(delivery))
            payload = replace(delivery, owner=key.public_key().public_bytes_raw(), signature=signature).to_bytes()
        return [(kind, payload)]

    keep = scene.keep()
    scene.refused(HostileLink(keep, to_keep=sign), DeliveryError, "not-an-owner")
    assert verifier_id(key.public_key().public_bytes_raw()) != keep.protocol._verifier
