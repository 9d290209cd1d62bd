"""Output, stdin and status: what a host can do to records, and how each side notices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.delivery.output import ACCEPTED, CHECKPOINT, FILES
from enarx.delivery.reading import OutputOpener
from enarx.delivery.session import STATE, STATE_DATA, STDERR, STDIN, STDOUT, Status
from enarx.errors import DeliveryError, ParseError
from enarx.formats.wire import FrameType
from tests.exchange import ATTACH_NONCE, Exchange, frames, payload, running


def raises(code: str):  # type: ignore[no-untyped-def]
    return pytest.raises(DeliveryError, check=lambda e: e.code == code)


def outputs() -> tuple[Exchange, list[bytes]]:
    """Return a finished run: acceptance, three records of data, two checkpoints, the final record."""
    exchange = Exchange()
    exchange.deliver()
    keep = exchange.keep
    said = [exchange.accepted, keep.write(STDOUT, b"canary-stdout"), keep.write(STDERR, b"warning")]
    said += [keep.write(STDOUT, b"more"), keep.final(Status(cause="exit", code=3))]
    return exchange, [payload(frame) for frame in frames(b"".join(said))]


def opener(exchange: Exchange) -> OutputOpener:
    assert exchange.session is not None
    return exchange.session.opener()


def test_output_is_in_order_and_ends_with_its_status() -> None:
    exchange, given_ = outputs()
    reader = opener(exchange)
    found = [reader.open(frame) for frame in given_]
    assert [(r.kind, r.offset, r.data) for r in found[1:4]] == [
        (STDOUT, 0, b"canary-stdout"),
        (STDERR, 0, b"warning"),
        (STDOUT, 13, b"more"),
    ]
    assert [r.kind for r in found] == [ACCEPTED, STDOUT, STDERR, STDOUT, CHECKPOINT, CHECKPOINT, 3]
    assert found[6].status == Status(cause="exit", code=3, stdout=17, stderr=7)
    assert reader.finished
    assert reader.unproven == {STDOUT: 0, STDERR: 0, FILES: 0}


def test_a_gap_is_seen() -> None:
    exchange, given_ = outputs()
    reader = opener(exchange)
    reader.open(given_[0])
    assert reader.open(given_[2]).lost == 1


@pytest.mark.parametrize("order", [[0, 0], [1, 0], [6, 0], [6, 6]])
def test_replayed_and_reordered_output(order: list[int]) -> None:
    exchange, given_ = outputs()
    reader = opener(exchange)
    reader.open(given_[order[0]])
    with raises("record-order"):
        reader.open(given_[order[1]])


@given(st.integers(0, 6), st.data())
def test_any_flipped_bit_is_refused(which: int, data: st.DataObject) -> None:
    exchange, given_ = outputs()
    at = data.draw(st.integers(0, 8 * len(given_[which]) - 1))
    broken = bytearray(given_[which])
    broken[at // 8] ^= 1 << at % 8
    reader = opener(exchange)
    for frame in given_[:which]:
        reader.open(frame)
    with pytest.raises(DeliveryError):
        reader.open(bytes(broken))


def test_another_sessions_output_does_not_open() -> None:
    _, given_ = outputs()
    other = Exchange(nonce=b"\x99" * 32)
    other.deliver()
    with raises("record-broken"):
        opener(other).open(given_[0])


def test_stdin_arrives_once_and_in_order() -> None:
    exchange, attachment = running()
    first = exchange.over(attachment.send(STDIN, 0, b"canary-stdin"))
    assert exchange.keep.input(first) == (STDIN, 0, b"canary-stdin")
    with raises("record-order"):
        exchange.keep.input(first)
    second, third = (exchange.over(attachment.send(STDIN, i, b"x")) for i in (12, 13))
    with raises("record-order"):
        exchange.keep.input(third)
    assert exchange.keep.input(second) == (STDIN, 12, b"x")


def test_records_of_an_older_attachment_are_passed_over() -> None:
    exchange, old = running()
    frame = exchange.over(old.send(STDIN, 0, b"old"))
    new = exchange.attach(b"\x77" * 32, b"\x78" * 32)
    assert exchange.keep.input(frame) is None
    assert exchange.keep.input(exchange.over(new.send(STDIN, 0, b"new"))) == (STDIN, 0, b"new")
    reply = exchange.keep.reply(STATE, 3, STATE_DATA.pack(0, True))
    old.receive(FrameType.REPLY, payload(reply))
    assert old.stdin is None
    new.receive(FrameType.REPLY, payload(reply))
    assert new.stdin == 3


def test_the_keep_does_not_go_back() -> None:
    exchange, attachment = running()
    for offset in (5, 9):
        attachment.receive(FrameType.REPLY, payload(exchange.keep.reply(STATE, offset, STATE_DATA.pack(0, True))))
    with raises("reply-kind"):
        attachment.receive(FrameType.REPLY, payload(exchange.keep.reply(STATE, 8, STATE_DATA.pack(0, True))))


def test_an_old_answer_is_not_taken_for_a_new_attachment() -> None:
    exchange, _ = running()
    old = exchange.sent[-1]
    assert exchange.session is not None
    from enarx.delivery.tenant import Attachment

    fresh = Attachment(exchange.session, nonce=b"\x79" * 32)
    fresh.receive(FrameType.ATTACHED, payload(old))
    with raises("not-attached"):
        fresh.send(STDIN, 0, b"x")
    assert ATTACH_NONCE != b"\x79" * 32


def test_nothing_after_the_end() -> None:
    exchange, attachment = running()
    attachment.receive(FrameType.OUTPUT, payload(exchange.keep.final(Status(cause="exit", code=0))))
    with raises("unexpected-message"):
        attachment.send(STDIN, 0, b"x")
    with raises("unexpected-message"):
        exchange.keep.write(STDOUT, b"x")


@given(st.binary(max_size=200))
def test_status_takes_no_other_bytes(data: bytes) -> None:
    with pytest.raises(ParseError):
        Status.from_bytes(data)


def test_status_of_an_unknown_cause_is_refused() -> None:
    with pytest.raises(ParseError):
        Status.from_bytes(Status(cause="praised").to_bytes())
