"""T72: the host, or another provider, puts a part in place of a provider's: its own, one of another run, or a changed one."""

from __future__ import annotations

import os

import pytest

from enarx.delivery.messages import sealed_keys
from enarx.delivery.sharing import PART_HEADER, Contribution, Join, contribution_binding
from enarx.delivery.suite import commit_keys, hpke_seal, signing_key
from enarx.formats.wire import HEADER, FrameType, frame
from enarx.keep.core.actions import AskEvidence, ReplaceTrees, StoreSecrets
from enarx.record import replace
from tests.attacks.real import Machine, finish
from tests.attacks.shared import RESULT, Ward
from tests.exchange import FILE, OWNER, SALT, public
from tests.keep.core.pair import Pair
from tests.parties import NORTH, NORTH_FILE, PART_SALT, SOUTH, STRANGER, Party, accepted, part_of, party


def stored(pair: Pair) -> int:
    """The number of actions so far that put something of a part somewhere."""
    return len(pair.keep.of(ReplaceTrees)) + len(pair.keep.of(StoreSecrets))


def test_the_control_both_parts_come_and_it_runs() -> None:
    pair = accepted()
    assert party(pair, NORTH).contribute()
    assert party(pair, SOUTH).contribute()
    assert pair.keep.start is not None


@pytest.mark.parametrize("seed", [STRANGER, OWNER], ids=["a stranger", "the owner"])
def test_a_party_that_the_manifest_does_not_name(seed: bytes) -> None:
    """It costs no evidence, and no byte of it is stored."""
    pair = accepted()
    before, asked = stored(pair), len(pair.keep.of(AskEvidence))
    stranger = party(pair, seed)
    stranger.send(stranger.side.join())
    assert stranger.codes() == ["not-a-provider"]
    assert (stored(pair), len(pair.keep.of(AskEvidence))) == (before, asked)


def test_an_observer_sees_and_contributes_nothing() -> None:
    pair = accepted()
    observer = party(pair, None)
    observer.join()
    assert observer.side.manifest == pair.package
    before = stored(pair)
    contribution = forged(observer, STRANGER, public(STRANGER))
    observer.send(frame(FrameType.CONTRIBUTION, contribution.to_bytes()))
    assert [kind for kind, _ in observer.seen[-1:]] == [FrameType.DECLINED]
    assert stored(pair) == before


def test_a_join_in_a_providers_name_costs_no_evidence() -> None:
    pair = accepted()
    asked = len(pair.keep.of(AskEvidence))
    join = Join(nonce=os.urandom(32), provider=public(NORTH), package=pair.package.digest, signature=bytes(64))
    join = replace(join, signature=signing_key(STRANGER).sign(join.signed))
    pair.keep.receive(frame(FrameType.JOIN, join.to_bytes()))
    assert len(pair.keep.of(AskEvidence)) == asked


def forged(invited: Party, signer: bytes, provider: bytes) -> Contribution:
    """A Contribution for an invitation that someone else got, with keys of the signer's own."""
    invitation = invited.side._invitation
    assert invitation is not None
    keys = sealed_keys(stream=b"\5" * 32, session=b"\6" * 32)
    bound = contribution_binding(
        invited.side._request, invited.side._invited, invitation.session, invited.side._package, commit_keys(keys)
    )
    return Contribution(
        provider=provider,
        signature=signing_key(signer).sign(bound),
        sealed=hpke_seal(keys, invitation.hpke, info=bound),
        commitment=commit_keys(keys),
    )


@pytest.mark.parametrize("signer", [STRANGER, SOUTH, OWNER], ids=["a stranger", "a provider", "the owner"])
def test_another_key_signs_for_a_provider(signer: bytes) -> None:
    """The host knows every public value of the invitation. The provider's own contribution still counts."""
    pair = accepted()
    north = party(pair, NORTH)
    north.join()
    before = stored(pair)
    host = party(pair, None)
    host.send(frame(FrameType.CONTRIBUTION, forged(north, signer, public(NORTH)).to_bytes()))
    assert [kind for kind, _ in host.seen] == [FrameType.DECLINED]
    assert b"provider-signature" in host.seen[0][1]
    assert stored(pair) == before
    north.send(*north.frames(*part_of(NORTH)))
    assert north.confirmed() == part_of(NORTH)[0].digest


@pytest.mark.parametrize("join", [False, True], ids=["its contribution alone", "with its join"])
def test_a_part_of_another_run_of_the_same_package(join: bool) -> None:
    first, second = accepted(), accepted(entropy=bytes(range(1, 129)))
    assert first.package.digest == second.package.digest
    north = party(first, NORTH)
    assert north.contribute()
    before = stored(second)
    host = party(second, None)
    host.send(*north.sent[0 if join else 1 :])
    assert b"".join(p for k, p in host.seen if k is FrameType.DECLINED)
    assert FrameType.CONTRIBUTED not in [kind for kind, _ in host.seen]
    assert stored(second) == before


def test_a_part_in_anothers_slot() -> None:
    """A chunk names its slot in clear. Under another provider's key it does not open, and is skipped."""
    pair = accepted()
    north, south = party(pair, NORTH), party(pair, SOUTH)
    south.join()
    south_frames = south.frames(*part_of(SOUTH))
    south.send(south_frames[0])
    north.join()
    first, *chunks = north.frames(*part_of(NORTH))
    north.send(first)
    theirs = [provider.key for provider in pair.package.providers].index(public(SOUTH))
    moved = [c[: HEADER.size] + PART_HEADER.pack(theirs, 0) + c[HEADER.size + PART_HEADER.size :] for c in chunks]
    before = stored(pair)
    north.send(*moved)
    assert stored(pair) == before
    south.send(*south_frames[1:])
    north.send(*chunks)
    assert (north.confirmed(), south.confirmed()) == (part_of(NORTH)[0].digest, part_of(SOUTH)[0].digest)


def test_another_provider_sends_a_sealed_part_as_its_own() -> None:
    """It signs what it copied, but the keys are sealed for another invitation."""
    pair = accepted()
    north, south = party(pair, NORTH), party(pair, SOUTH)
    north.join()
    copied = Contribution.from_bytes(north.frames(*part_of(NORTH))[0][HEADER.size :])
    south.join()
    mine = forged(south, SOUTH, public(SOUTH))
    invitation = south.side._invitation
    assert invitation is not None
    bound = contribution_binding(
        south.side._request, south.side._invited, invitation.session, pair.package.digest, copied.commitment
    )
    copy = replace(mine, sealed=copied.sealed, commitment=copied.commitment, signature=signing_key(SOUTH).sign(bound))
    south.send(frame(FrameType.CONTRIBUTION, copy.to_bytes()))
    assert b"unsealable" in south.seen[-1][1]


def test_keys_of_the_hosts_own_under_a_providers_signature() -> None:
    """The signature covers the commitment to the keys and not the sealed keys, so the Keep compares the two."""
    pair = accepted()
    north = party(pair, NORTH)
    north.join()
    own = forged(north, STRANGER, public(NORTH))
    signed = Contribution.from_bytes(north.frames(*part_of(NORTH))[0][HEADER.size :])
    invitation = north.side._invitation
    assert invitation is not None
    bound = contribution_binding(
        north.side._request, north.side._invited, invitation.session, pair.package.digest, signed.commitment
    )
    keys = sealed_keys(stream=b"\5" * 32, session=b"\6" * 32)
    assert commit_keys(keys) == own.commitment != signed.commitment
    swapped = replace(signed, sealed=hpke_seal(keys, invitation.hpke, info=bound))
    before = stored(pair)
    host = party(pair, None)
    host.send(frame(FrameType.CONTRIBUTION, swapped.to_bytes()))
    assert [kind for kind, _ in host.seen] == [FrameType.DECLINED]
    assert b"key-commitment" in host.seen[0][1]
    assert stored(pair) == before
    assert party(pair, NORTH).contribute() == part_of(NORTH)[0].digest


def test_another_providers_content() -> None:
    """A provider gives exactly its own directories and secrets, as the manifest lists them."""
    pair = accepted()
    south = party(pair, SOUTH)
    part, plaintext = part_of(SOUTH, pin=b"canary-pin")
    assert south.contribute(part, plaintext) is None
    assert south.codes() == ["head-secrets"]
    assert pair.keep.secrets == {"key": b"canary-secret"}


@pytest.mark.parametrize("what", ["file", "index", "trailing", "short"])
def test_a_changed_part_ends_its_attempt_alone(what: str) -> None:
    pair = accepted()
    north, south = party(pair, NORTH), party(pair, SOUTH)
    south.join()
    south_frames = south.frames(*part_of(SOUTH))
    south.send(south_frames[0])
    part, plaintext = part_of(NORTH)
    changed = {
        "file": plaintext[:-1] + b"!",
        "index": plaintext[: len(part.head) + 4] + b"\xff" + plaintext[len(part.head) + 5 :],
        "trailing": plaintext + b"!",
        "short": plaintext[:-1],
    }[what]
    assert north.contribute(part, changed) is None
    assert len(north.codes()) == 1
    assert pair.keep.files == {"1/d/f": FILE}
    assert pair.state == "session"
    south.send(*south_frames[1:])
    assert south.confirmed()
    again = party(pair, NORTH)
    assert again.contribute() == part.digest
    assert pair.keep.files["0/rows"] == NORTH_FILE
    assert pair.keep.start is not None


def test_a_part_that_was_accepted_stays() -> None:
    pair = accepted()
    assert party(pair, NORTH).contribute()
    again = party(pair, NORTH)
    again.join()
    again.send(*again.frames(*part_of(NORTH, b"other rows", salt=SALT)))
    assert again.codes() == ["contributed-already"]
    assert pair.keep.files["0/rows"] == NORTH_FILE


def test_a_real_keep(machine: Machine) -> None:
    """Storage is cleared of a broken part; the whole part that follows is what the guest reads."""
    ward = Ward.make(machine)
    assert SALT != PART_SALT
    first = ward.provider(NORTH)
    part, plaintext = part_of(NORTH, b"other rows" * 100_000)
    ward.give(first, part, plaintext[:-1] + b"!")
    assert first.declined(ward.wire.wait(FrameType.DECLINED)) == "content-file"
    ward.both()
    result, shown = finish(ward.wire, ward.delivered)
    assert (result.status.cause, shown) == ("exit", RESULT)
