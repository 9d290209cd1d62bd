"""T75: a provider is also the host: it sees every frame, holds a genuine key, and launches Keeps of its own."""

from __future__ import annotations

import os

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.answers import Invitation
from enarx.delivery.contribution import open_grant
from enarx.delivery.session import STDOUT
from enarx.delivery.suite import HpkeKey
from enarx.delivery.tenant import Attachment
from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType
from tests.attacks.hostile import Scene, keep_on
from tests.attacks.real import Machine
from tests.attacks.shared import RESULT, Ward
from tests.exchange import ATTACH_NONCE, CANARIES
from tests.parties import NORTH, NORTH_FILE, PART_CANARIES, READER, SOUTH, accepted, granted, part_of, party


def test_it_sees_nothing_of_the_other_part_or_the_output() -> None:
    """South is the host. Not a canary of the owner's or of North's is in any frame, nor in what South's keys open."""
    pair = accepted(READER)
    south, north = party(pair, SOUTH), party(pair, NORTH)
    assert south.contribute()
    assert north.contribute()
    pair.frames += [*south.seen, *north.seen]
    owner = Attachment(pair.session, nonce=ATTACH_NONCE)
    pair.keep.receive(owner.attach())
    pair.keep.core.output(1, b"canary-stdout")
    pair.keep.act()
    pair.sent()
    seen = [pair.delivery, *south.sent, *north.sent, *(p for _, p in pair.frames)]
    for frame in seen:
        assert not [canary for canary in (*CANARIES, *PART_CANARIES) if canary in frame]
    assert pair.keep.files["0/rows"] == NORTH_FILE, "the control: the Keep has what the host has not"
    opener = granted(pair).opener()
    payloads = [p for kind, p in pair.frames if kind is FrameType.OUTPUT]
    records = [opener.open(payload) for payload in payloads[1:]]
    assert b"".join(record.data for record in records if record.kind == STDOUT) == b"canary-stdout"


def test_its_own_stream_key_opens_no_chunk_of_the_other() -> None:
    pair = accepted()
    south, north = party(pair, SOUTH), party(pair, NORTH)
    keys = bytes(range(64))
    south.join()
    mine = south.frames(*part_of(SOUTH), entropy=keys)
    north.join()
    theirs = north.frames(*part_of(NORTH))
    aead, nonce = AESGCM(keys[:32]), bytes(11) + b"\1"
    assert aead.decrypt(nonce, mine[-1][10:], b"enarx stream v2").endswith(part_of(SOUTH)[1][-9:])
    with pytest.raises(InvalidTag):
        aead.decrypt(nonce, theirs[-1][10:], b"enarx stream v2")


def test_it_is_no_recipient() -> None:
    pair = accepted(READER)
    for seed in (SOUTH, NORTH):
        side = party(pair, seed)
        assert side.contribute()
        pair.frames += side.seen
    (grant,) = [p for kind, p in pair.frames if kind is FrameType.GRANT]
    assert open_grant(grant, READER).secret
    with pytest.raises(DeliveryError, check=lambda e: e.code == "not-a-recipient"):
        open_grant(grant, HpkeKey(os.urandom(96)))


def test_it_cannot_pass_off_a_keep_of_its_own(scene: Scene) -> None:
    """Without hardware it can run the core itself, and read all. Its evidence is of another measurement, and refused."""
    from enarx.errors import AppraisalError
    from enarx.tenant.deploy import ReceivedEvidence

    for measurement, refused in ((b"\xab" * 48, False), (b"\xba" * 48, True)):
        keep = keep_on(scene.chip, measurement=measurement)
        pair = accepted(attest=keep._attest)
        north = party(pair, NORTH)
        report_data = north.join()
        (invitation,) = [Invitation.from_bytes(p) for kind, p in north.seen if kind is FrameType.INVITATION]
        received = ReceivedEvidence(
            kind="simulated",
            evidence=invitation.evidence,
            endorsements=invitation.endorsements,
            report_data=report_data,
        )
        if refused:
            with pytest.raises(AppraisalError, match="measurement"):
                scene.verifier(received)
        else:
            scene.verifier(received)


def test_a_real_host_that_is_a_provider_sees_no_canary(machine: Machine) -> None:
    ward = Ward.make(machine, READER)
    ward.both()
    granted = ward.granted(READER)
    ward.wire.until_end()
    for _, payload in ward.wire.log:
        assert not [canary for canary in (*CANARIES, *PART_CANARIES) if canary in payload]
    opener = granted.opener()
    records = [opener.open(p) for p in ward.wire.of(FrameType.OUTPUT)[1:]]
    assert b"".join(record.data for record in records if record.kind == STDOUT) == RESULT
