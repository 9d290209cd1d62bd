"""The sides of providers and recipients, without a Keep's core where that is possible."""

from __future__ import annotations

import re

import pytest

from enarx.delivery.answers import Declined, Invitation
from enarx.delivery.contribution import LAST_PART, TABLE, Contributor, confirmed_part
from enarx.delivery.messages import Challenge
from enarx.delivery.receipt import Terms
from enarx.delivery.sharing import Join
from enarx.errors import DeliveryError, ParseError, UsageError
from enarx.formats.wire import CHUNK, HEADER, FrameType
from enarx.record import replace
from tests.exchange import public
from tests.house.test_invariants import ROOT
from tests.parties import JOIN_NONCE, NORTH, PART_KEYS, SOUTH, accepted, chunks_of, part_of, party


def test_the_states_are_those_of_the_specification() -> None:
    text = (ROOT / "docs/spec/contributions.md").read_text()
    section = text[text.index("## Provider's states") :]
    written = {}
    for state, frames, following in re.findall(r"^\| ([a-z]+) \| ([A-Z_, ]+) \| ([a-z]+) \|$", section, re.MULTILINE):
        written |= {(state, frame.strip()): following for frame in frames.split(",")}
    named = {LAST_PART: "LAST PART"}
    assert written == {(state, named[e] if isinstance(e, str) else e.name): new for (state, e), new in TABLE.items()}


def test_nothing_is_sealed_before_an_invitation() -> None:
    side = Contributor(package=bytes(32), nonce=JOIN_NONCE, seed=NORTH)
    part, _ = part_of(NORTH)
    for step in (lambda: side.contribution(entropy=PART_KEYS, part=part), side.again, lambda: side.manifest):
        with pytest.raises(DeliveryError, check=lambda e: e.code == "unexpected-message"):
            step()
    with pytest.raises(DeliveryError, check=lambda e: e.code == "unexpected-message"):
        side.chunk(b"", bytearray(CHUNK + 64), final=True)


def test_a_join_is_signed_and_an_observers_is_not() -> None:
    join = Join.from_bytes(Contributor(package=bytes(32), nonce=JOIN_NONCE, seed=NORTH).join()[HEADER.size :])
    assert (join.provider, any(join.signature)) == (public(NORTH), True)
    observed = Join.from_bytes(Contributor(package=bytes(32), nonce=JOIN_NONCE).join()[HEADER.size :])
    assert not any(observed.provider + observed.signature)


def test_an_invitation_is_taken_once() -> None:
    pair = accepted()
    north = party(pair, NORTH)
    north.join()
    (payload,) = [p for kind, p in north.seen if kind is FrameType.INVITATION]
    assert north.side.invitation(payload) is None
    assert north.side.provider.name == "North Hospital"
    assert north.side.session == pair.session.transcript


def test_a_key_that_the_manifest_does_not_name() -> None:
    observer = party(accepted(), None)
    observer.join()
    with pytest.raises(DeliveryError, check=lambda e: e.code == "not-a-provider"):
        observer.side.provider  # noqa: B018


def test_a_file_that_changed_is_not_sealed_twice() -> None:
    """Two plaintexts under one nonce would break the cipher."""
    pair = accepted()
    north = party(pair, NORTH)
    north.join()
    part, plaintext = part_of(NORTH, b"rows" * CHUNK)
    north.send(*north.frames(part, plaintext)[:2])
    north.side.again()
    assert north.side.resume() == 0
    with pytest.raises(UsageError, check=lambda e: e.code == "files-changed"):
        chunks_of(north.side, plaintext[:100] + b"!" + plaintext[101:])


def test_answers_to_others_are_skipped() -> None:
    pair = accepted()
    north, south = party(pair, NORTH), party(pair, SOUTH)
    north.join()
    assert south.contribute()
    (confirmation,) = [p for kind, p in south.seen if kind is FrameType.CONTRIBUTED]
    assert north.side.contributed(confirmation) is None
    declined = Declined(provider=public(SOUTH), request=bytes(32), code="disk-limit").to_bytes()
    assert north.side.declined(declined) is None
    session = pair.session
    names = {"session": session.transcript, "package": session.package, "identity": session.identity}
    assert confirmed_part(confirmation, **names) == {public(SOUTH): part_of(SOUTH)[0].digest}


@pytest.mark.parametrize("code", ["", "x" * 65, "two words", "\x1b[31m", "umläut", 7])
def test_a_code_is_short_and_plain(code: object) -> None:
    good = Declined(provider=bytes(32), request=bytes(32), code="disk-limit")
    assert Declined.from_bytes(good.to_bytes()) == good
    with pytest.raises(ParseError, check=lambda e: e.code == "declined-code"):
        Declined.from_bytes(replace(good, code=code).to_bytes())


def test_the_version_of_each_message_is_checked_first() -> None:
    from enarx.formats.wire import decode, encode

    pair = accepted()
    north = party(pair, NORTH)
    north.join()
    (payload,) = [p for kind, p in north.seen if kind is FrameType.INVITATION]
    for message, data in ((Join, north.sent[0][HEADER.size :]), (Invitation, payload)):
        value = decode(data, "test")
        assert isinstance(value, dict)
        with pytest.raises(ParseError, match="version"):
            message.from_bytes(encode({**value, "version": 3, "more": 1}))


def test_terms_are_exact() -> None:
    session = accepted().session
    fields = {name: getattr(session, name) for name in ("challenge", "attestation", "manifest", "commitment", "time")}
    terms = Terms(**fields)
    assert Terms.from_bytes(terms.to_bytes()) == terms
    assert terms.transcript == session.transcript
    assert terms.check("grant").raw == session.manifest
    with pytest.raises(ParseError):
        Terms.from_bytes(terms.to_bytes() + b"\0")
    with pytest.raises(ParseError):
        Terms.from_bytes(replace(terms, challenge=Challenge.from_bytes(terms.challenge).nonce).to_bytes())
