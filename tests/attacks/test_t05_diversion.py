"""T5: the host diverts the tenant to a Keep of another package."""

from __future__ import annotations

from enarx.delivery.messages import Challenge
from enarx.errors import AppraisalError, DeliveryError
from enarx.formats.wire import FrameType
from enarx.record import replace
from tests.attacks.hostile import HostileLink, Scene


def test_a_keep_launched_for_another_package(scene: Scene) -> None:
    scene.refused(HostileLink(scene.keep(host_data=b"\5" * 32)), DeliveryError, "other-package")


def test_a_challenge_for_another_package(scene: Scene) -> None:
    def swap(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is FrameType.CHALLENGE:
            payload = replace(Challenge.from_bytes(payload), package=b"\5" * 32).to_bytes()
        return [(kind, payload)]

    keep = scene.keep(host_data=b"\5" * 32)
    scene.refused(HostileLink(keep, to_keep=swap), DeliveryError, "other-challenge")
    assert keep.core.state == "attested"


def test_evidence_of_another_launch(scene: Scene) -> None:
    scene.refused(HostileLink(scene.keep(attested=b"\5" * 32)), AppraisalError, "host-data")
