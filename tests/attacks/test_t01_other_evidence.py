"""T1: the host answers with evidence of another Keep."""

from __future__ import annotations

from enarx.delivery.messages import Attestation
from enarx.errors import AppraisalError
from enarx.formats.wire import FrameType
from enarx.record import replace
from tests.attacks.hostile import HostileLink, Scene, raw


def test_evidence_of_another_keep(scene: Scene) -> None:
    other = scene.keep()

    def swap(kind: FrameType, payload: bytes):  # type: ignore[no-untyped-def]
        if kind is FrameType.ATTESTATION:
            other.receive(raw(FrameType.CHALLENGE, link.challenge))
            theirs = Attestation.from_bytes(other.out.get()[1])  # type: ignore[index]
            payload = replace(Attestation.from_bytes(payload), evidence=theirs.evidence).to_bytes()
        return [(kind, payload)]

    link = Remembering(scene.keep(), to_tenant=swap)
    scene.refused(link, AppraisalError, "report-data")
    assert (link.keep.core.state, other.core.state) == ("attested", "attested")


class Remembering(HostileLink):
    @property
    def challenge(self) -> bytes:
        return self.seen[0][5:]
