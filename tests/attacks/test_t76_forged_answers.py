"""T76: the host swaps invitations, shows another manifest, or forges what a Keep confirms or grants."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest

from enarx.delivery.answers import Contributed, Grant, Invitation
from enarx.delivery.contribution import Contributor, open_grant
from enarx.delivery.messages import Challenge
from enarx.delivery.receipt import Terms
from enarx.delivery.sharing import contributed_transcript, grant_info, grant_transcript
from enarx.delivery.suite import HpkeKey, hpke_seal, signing_key
from enarx.errors import AppraisalError, DeliveryError, EnarxError, VerificationError
from enarx.formats.wire import FrameType
from enarx.record import replace
from enarx.tenant.deploy import ReceivedEvidence
from tests.attacks.hostile import Scene, keep_on
from tests.exchange import public
from tests.keep.core.pair import Pair
from tests.parties import NORTH, OTHER_READER, READER, SOUTH, accepted, part_of, party, shared

HOST = signing_key(b"\x99" * 32)
HOST_HPKE = HpkeKey(bytes(range(2, 98)))


def invited(pair: Pair, seed: bytes = NORTH) -> tuple[Contributor, bytes]:
    """A provider that has joined, and the Keep's answer to it, which the provider has not seen yet."""
    side = party(pair, seed)
    answers = [p for kind, p in side.send(side.side.join()) if kind is FrameType.INVITATION]
    return side.side, answers[0]


def verify(scene: Scene, side: Contributor, payload: bytes) -> None:
    """Do what a provider does before it seals."""
    answer = side.invitation(payload)
    assert answer is not None, "the invitation answers another Join"
    invitation, report_data = answer
    scene.verifier(
        ReceivedEvidence(
            kind=invitation.kind,
            evidence=invitation.evidence,
            endorsements=invitation.endorsements,
            report_data=report_data,
        )
    )


def attested(scene: Scene) -> Pair:
    return accepted(attest=keep_on(scene.chip)._attest)


def test_the_control_an_invitation_is_accepted(scene: Scene) -> None:
    verify(scene, *invited(attested(scene)))


@pytest.mark.parametrize(
    "change",
    [{"hpke": HOST_HPKE.public}, {"identity": public(b"\x99" * 32)}, {"session": b"\x99" * 32}],
    ids=["its own HPKE key", "its own identity key", "another session"],
)
def test_an_invitation_with_values_of_the_hosts(scene: Scene, change: dict[str, Any]) -> None:
    side, payload = invited(attested(scene))
    with pytest.raises(AppraisalError, match="report"):
        verify(scene, side, replace(Invitation.from_bytes(payload), **change).to_bytes())


def test_an_invitation_of_another_provider(scene: Scene) -> None:
    """It answers another Join. Under this Join's name its evidence does not fit."""
    pair = attested(scene)
    (north, mine), (_, theirs) = invited(pair, NORTH), invited(pair, SOUTH)
    assert north.invitation(theirs) is None
    relabelled = replace(Invitation.from_bytes(theirs), request=Invitation.from_bytes(mine).request)
    with pytest.raises(AppraisalError, match="report"):
        verify(scene, north, relabelled.to_bytes())


def test_an_old_invitation(scene: Scene) -> None:
    pair = attested(scene)
    (_, old), (side, new) = invited(pair), invited(pair)
    assert side.invitation(old) is None
    relabelled = replace(Invitation.from_bytes(old), request=Invitation.from_bytes(new).request)
    with pytest.raises(AppraisalError, match="report"):
        verify(scene, side, relabelled.to_bytes())


def test_evidence_of_an_admission_is_none_of_an_invitation(scene: Scene) -> None:
    pair = attested(scene)
    side, payload = invited(pair)
    admitted = Terms.from_bytes(terms_of(pair)).attested
    swapped = replace(Invitation.from_bytes(payload), evidence=admitted.evidence)
    with pytest.raises(AppraisalError, match="report"):
        verify(scene, side, swapped.to_bytes())


def terms_of(pair: Pair) -> bytes:
    session = pair.session
    return Terms(
        challenge=session.challenge,
        attestation=session.attestation,
        manifest=session.manifest,
        commitment=session.commitment,
        time=session.time,
    ).to_bytes()


def test_a_manifest_other_than_the_one_that_the_provider_was_told(scene: Scene) -> None:
    """Whatever changes in it (code, providers, recipients), its digest is another."""
    side, payload = invited(attested(scene))
    other = shared(OTHER_READER)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "other-manifest"):
        side.invitation(replace(Invitation.from_bytes(payload), manifest=other.raw).to_bytes())


def test_a_keep_that_runs_another_package_than_it_shows(scene: Scene) -> None:
    """The owner changes the package after the provider saw it. The Keep refuses the Join; evidence would name the other."""
    pair = accepted(READER, attest=keep_on(scene.chip)._attest)
    seen = shared()
    assert pair.package.digest != seen.digest
    north = party(pair, NORTH)
    north.side = Contributor(package=seen.digest, nonce=os.urandom(32), seed=NORTH)
    north.send(north.side.join())
    assert north.codes() == ["other-package"]
    genuine = party(pair, NORTH)
    genuine.join()
    (payload,) = [p for kind, p in genuine.seen if kind is FrameType.INVITATION]
    request = hashlib.sha256(north.sent[0][5:]).digest()
    relabelled = replace(Invitation.from_bytes(payload), request=request, manifest=seen.raw)
    with pytest.raises(AppraisalError, match="report"):
        verify(scene, north.side, relabelled.to_bytes())


@pytest.mark.parametrize("what", ["signature", "digest", "provider", "key of the host"])
def test_a_confirmation_that_the_keep_did_not_sign(what: str) -> None:
    pair = accepted()
    north = party(pair, NORTH)
    assert north.contribute() == part_of(NORTH)[0].digest
    (payload,) = [p for kind, p in north.seen if kind is FrameType.CONTRIBUTED]
    genuine = Contributed.from_bytes(payload)
    signed = contributed_transcript(pair.session.transcript, pair.package.digest, public(NORTH), genuine.digest)
    forged = {
        "signature": replace(genuine, signature=bytes(64)),
        "digest": replace(genuine, digest=bytes(32)),
        "provider": replace(genuine, provider=public(SOUTH)),
        "key of the host": replace(genuine, signature=HOST.sign(signed)),
    }[what]
    with pytest.raises(DeliveryError, check=lambda e: e.code == "contributed-signature"):
        north.side.contributed(forged.to_bytes())


def test_a_confirmation_of_another_part_of_the_same_provider() -> None:
    """The provider began twice. It learns that the Keep has the other part."""
    pair = accepted()
    first, second = party(pair, NORTH), party(pair, NORTH)
    assert first.contribute()
    (payload,) = [p for kind, p in first.seen if kind is FrameType.CONTRIBUTED]
    second.join()
    assert second.side.contributed(payload) == part_of(NORTH)[0].digest
    second.frames(*part_of(NORTH, b"other rows"))
    with pytest.raises(DeliveryError, check=lambda e: e.code == "other-part"):
        second.side.contributed(payload)


def test_confirmations_of_chunks_that_are_not_the_keeps() -> None:
    """They are skipped: no provider drops what the Keep did not confirm."""
    pair = accepted()
    north = party(pair, NORTH)
    north.join()
    first, *_ = north.frames(*part_of(NORTH))
    north.send(first, first)
    (genuine,) = [p for kind, p in north.seen if kind is FrameType.PART_RECEIVED]
    assert north.side.received(genuine) is False
    assert north.side.received(genuine[:1] + b"\0\0\0\1" + genuine[5:]) is None
    assert north.side.received(bytes([genuine[0] ^ 1]) + genuine[1:]) is None
    assert north.side.confirmed == 0


def genuine_grant() -> tuple[Pair, bytes]:
    pair = accepted(READER, OTHER_READER)
    for seed in (NORTH, SOUTH):
        side = party(pair, seed)
        assert side.contribute()
        pair.frames += side.seen
    (payload,) = [p for kind, p in pair.frames if kind is FrameType.GRANT]
    return pair, payload


def test_the_control_both_recipients_open_the_grant() -> None:
    pair, payload = genuine_grant()
    grants = [open_grant(payload, key, package=pair.package.digest) for key in (READER, OTHER_READER)]
    assert grants[0].secret == grants[1].secret
    assert grants[0].transcript == pair.session.transcript


@pytest.mark.parametrize(
    "what", ["signature", "order", "secret", "secret and signature", "challenge", "manifest", "commitment", "time"]
)
def test_a_grant_that_the_keep_did_not_make(what: str) -> None:
    """The host can seal a secret of its own to a recipient, but the attested key does not sign it."""
    pair, payload = genuine_grant()
    grant = Grant.from_bytes(payload)
    terms = Terms.from_bytes(grant.terms)
    session, package = pair.session.transcript, pair.package.digest
    mine = tuple(
        hpke_seal(bytes(32), recipient.key, info=grant_info(session, package, i))
        for i, recipient in enumerate(pair.package.recipients)
    )
    signature = HOST.sign(grant_transcript(session, package, mine))
    challenge = replace(Challenge.from_bytes(terms.challenge), nonce=bytes(32)).to_bytes()
    forged = {
        "signature": replace(grant, signature=bytes(64)),
        "order": replace(grant, sealed=grant.sealed[::-1]),
        "secret": replace(grant, sealed=mine),
        "secret and signature": replace(grant, sealed=mine, signature=signature),
        "challenge": replace(grant, terms=replace(terms, challenge=challenge).to_bytes()),
        "manifest": replace(grant, terms=replace(terms, manifest=shared(READER).raw).to_bytes()),
        "commitment": replace(grant, terms=replace(terms, commitment=bytes(32)).to_bytes()),
        "time": replace(grant, terms=replace(terms, time=1).to_bytes()),
    }[what]
    with pytest.raises((DeliveryError, VerificationError)) as refused:
        open_grant(forged.to_bytes(), READER)
    assert refused.value.code in ("grant-signature", "grant-challenge", "grant-package")


def test_a_grant_with_keys_of_the_hosts_has_evidence_that_does_not_fit(scene: Scene) -> None:
    """The host makes all parts itself, around genuine evidence: the report data that a recipient wants is another."""
    pair = accepted(READER, seeds=(), attest=keep_on(scene.chip)._attest)
    (payload,) = [p for kind, p in pair.sent() if kind is FrameType.GRANT]

    def received(granted: Any) -> ReceivedEvidence:
        return ReceivedEvidence(
            kind=granted.attested.kind,
            evidence=granted.attested.evidence,
            endorsements=granted.attested.endorsements,
            report_data=granted.report_data,
        )

    scene.verifier(received(open_grant(payload, READER)))
    terms = Terms.from_bytes(Grant.from_bytes(payload).terms)
    identity = HOST.public_key().public_bytes_raw()
    terms = replace(terms, attestation=replace(terms.attested, identity=identity).to_bytes())
    sealed = (hpke_seal(bytes(32), READER.public, info=grant_info(terms.transcript, terms.package, 0)),)
    signature = HOST.sign(grant_transcript(terms.transcript, terms.package, sealed))
    forged = Grant(terms=terms.to_bytes(), sealed=sealed, signature=signature)
    with pytest.raises(AppraisalError, match="report"):
        scene.verifier(received(open_grant(forged.to_bytes(), READER)))


def test_malformed_answers_are_errors_of_ours() -> None:
    pair = accepted()
    side, _ = invited(pair)
    for junk in (b"", b"\xa0", os.urandom(300), bytes(40)):
        for take in (side.invitation, side.declined, lambda p: open_grant(p, READER)):
            with pytest.raises(EnarxError):
                take(junk)
