"""T3: the host sends keys of its own with genuine evidence."""

from __future__ import annotations

import os

import pytest

from enarx.delivery.messages import Attestation
from enarx.delivery.suite import HpkeKey, signing_key
from enarx.errors import AppraisalError
from enarx.formats.wire import FrameType
from enarx.record import replace
from tests.attacks.hostile import HostileLink, Scene

HOSTS = {
    "hpke": HpkeKey(os.urandom(96)).public,
    "identity": signing_key(os.urandom(32)).public_key().public_bytes_raw(),
}


@pytest.mark.parametrize("name", HOSTS)
def test_keys_of_the_host(scene: Scene, name: str) -> None:
    def swap(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is FrameType.ATTESTATION:
            payload = replace(Attestation.from_bytes(payload), **{name: HOSTS[name]}).to_bytes()
        return [(kind, payload)]

    keep = scene.keep()
    scene.refused(HostileLink(keep, to_tenant=swap), AppraisalError, "report-data")
    assert keep.core.state == "attested"
