"""T4: the Keep runs other code than the measured, on hardware of another root, or on none."""

from __future__ import annotations

import os

import pytest

from enarx.delivery.messages import Attestation
from enarx.errors import AppraisalError, EnarxError, ParseError, VerificationError
from enarx.formats.wire import FrameType
from enarx.record import replace
from enarx.simulator.keys import load
from tests.attacks.hostile import HostileLink, Scene, keep_on


def test_other_code(scene: Scene) -> None:
    keep = scene.keep(measurement=b"\xcd" * 48)
    scene.refused(HostileLink(keep), AppraisalError, "measurement")


def test_the_hosts_own_hardware(scene: Scene, tmp_path: os.PathLike[str]) -> None:
    keep = keep_on(load(f"{os.fspath(tmp_path)}/theirs"))
    scene.refused(HostileLink(keep), VerificationError, "chip-signature")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"kind": "snp"}, AppraisalError),
        ({"evidence": b"\0"}, ParseError),
        ({"endorsements": ()}, EnarxError),
    ],
)
def test_no_hardware(scene: Scene, change: dict[str, object], kind: type[EnarxError]) -> None:
    def swap(frame: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if frame is FrameType.ATTESTATION:
            payload = replace(Attestation.from_bytes(payload), **change).to_bytes()
        return [(frame, payload)]

    keep = scene.keep()
    with pytest.raises(kind):
        scene.play(HostileLink(keep, to_tenant=swap))
    assert keep.core.state == "attested"
