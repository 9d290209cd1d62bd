"""T73: the host, or the owner, shows two providers two Keeps, so that each runs with what it would never have combined."""

from __future__ import annotations

import pytest

from enarx.delivery.tenant import Attachment
from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType
from tests.exchange import ATTACH_NONCE
from tests.keep.core.pair import Pair
from tests.parties import NORTH, SOUTH, accepted, party


def two() -> tuple[Pair, Pair]:
    """Two Keeps that the owner has delivered the same package to."""
    first, second = accepted(), accepted(entropy=bytes(range(1, 129)))
    assert first.package.digest == second.package.digest
    assert first.session.transcript != second.session.transcript
    return first, second


def ended(pair: Pair) -> str:
    """The message of the final record, after the deadline."""
    pair.clock.seconds += 601
    pair.keep.tick()
    attachment = Attachment(pair.session, nonce=ATTACH_NONCE)
    outputs = [attachment.receive(k, p) for k, p in [*pair.frames, *pair.sent()] if k is FrameType.OUTPUT]
    (final,) = [output for output in outputs if output is not None and output.final is not None]
    assert final.status is not None
    assert final.status.cause == "refused"
    return final.status.message


def test_neither_runs() -> None:
    first, second = two()
    assert party(first, NORTH).contribute()
    assert party(second, SOUTH).contribute()
    assert (first.keep.start, second.keep.start) == (None, None)
    assert ended(first).endswith("from South Hospital")
    assert ended(second).endswith("from North Hospital")
    assert (first.keep.start, second.keep.start) == (None, None)


def test_the_control_one_keep_runs() -> None:
    pair = accepted()
    assert party(pair, NORTH).contribute()
    assert party(pair, SOUTH).contribute()
    assert pair.keep.start is not None


def test_what_one_got_does_not_count_in_the_other() -> None:
    first, second = two()
    south = party(second, SOUTH)
    assert party(first, NORTH).contribute()
    assert south.contribute()
    host = party(first, None)
    host.send(*south.sent)
    assert FrameType.DECLINED in [kind for kind, _ in host.seen]
    assert first.keep.start is None


def test_a_confirmation_of_the_other_keep() -> None:
    """The provider believes no Keep but the one that it verified."""
    first, second = two()
    north, other = party(first, NORTH), party(second, NORTH)
    north.join()
    assert other.contribute()
    (confirmation,) = [p for kind, p in other.seen if kind is FrameType.CONTRIBUTED]
    with pytest.raises(DeliveryError, check=lambda e: e.code == "contributed-signature"):
        north.side.contributed(confirmation)
    assert other.side.contributed(confirmation)


def test_a_session_that_the_owner_named() -> None:
    """A provider who knows the session from the owner does not even look at another Keep."""
    first, second = two()
    named = first.session.transcript
    assert party(first, NORTH, session=named).join()
    with pytest.raises(DeliveryError, check=lambda e: e.code == "other-session"):
        party(second, NORTH, session=named).join()
