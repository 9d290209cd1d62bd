"""A Keep that waits for the parts of several owners of data."""

from __future__ import annotations

import pytest

from enarx.delivery.reading import SEALED
from enarx.delivery.receipt import Receipt
from enarx.delivery.session import STDIN, STDIN_END, STDOUT, STOP
from enarx.delivery.tenant import Attachment
from enarx.formats.wire import FrameType
from enarx.keep.core.actions import Start, StoreSecrets
from tests.exchange import ATTACH_NONCE, FILE, public
from tests.keep.core.driver import EXIT_CODE
from tests.keep.core.pair import Pair
from tests.parties import NORTH, NORTH_FILE, READER, SOUTH, SOUTH_FILE, accepted, granted, part_of, party


def attached(pair: Pair) -> Attachment:
    """The owner, attached; it has read everything so far."""
    attachment = Attachment(pair.session, nonce=ATTACH_NONCE)
    pair.keep.receive(attachment.attach())
    pair.read(attachment)
    return attachment


def test_the_workload_starts_when_every_part_has_come() -> None:
    pair = accepted()
    owner = attached(pair)
    assert pair.keep.start is None
    north, south = party(pair, NORTH), party(pair, SOUTH)
    assert south.contribute() == part_of(SOUTH)[0].digest
    assert pair.keep.start is None
    assert north.contribute() == part_of(NORTH)[0].digest
    assert pair.keep.files == {"0/rows": NORTH_FILE, "1/d/f": FILE, "2/rows": SOUTH_FILE}
    assert pair.keep.secrets == {"key": b"canary-secret", "pin": b"canary-pin"}
    (start,) = pair.keep.of(Start)
    assert dict(start.env)["PIN"] == "canary-pin"
    assert [guest for _, guest, _ in start.dirs] == ["/north", "/data", "/south"]
    for kind, payload in (*south.seen, *north.seen):
        owner.receive(kind, payload)
    assert owner.contributed == {public(s): part_of(s)[0].digest for s in (NORTH, SOUTH)}
    pair.keep.receive(owner.send(STDIN_END, 0, b"last"))
    *_, final = pair.read(owner)
    assert final.final is not None
    assert dict(final.final.providers) == owner.contributed
    assert final.final.status.code == EXIT_CODE


def test_stdin_waits_for_the_start() -> None:
    pair = accepted()
    owner = attached(pair)
    pair.keep.receive(owner.send(STDIN, 0, b"early "))
    pair.read(owner)
    assert owner.stdin == 0
    again = attached(pair)
    pair.keep.receive(again.send(STDIN, 0, b"early "))
    pair.keep.receive(again.send(STDIN_END, 6, b"late"))
    read = len(pair.frames)
    for seed in (NORTH, SOUTH):
        side = party(pair, seed)
        side.contribute()
        pair.frames += side.seen
    outputs = [again.receive(kind, p) for kind, p in pair.frames[read:] if kind in (FrameType.OUTPUT, FrameType.REPLY)]
    assert b"".join(o.data for o in outputs if o and o.kind == STDOUT) == b"early late"


def test_a_recipient_reads_what_the_owner_cannot() -> None:
    pair = accepted(READER)
    owner = attached(pair)
    for seed in (NORTH, SOUTH):
        side = party(pair, seed)
        side.contribute()
        pair.frames += side.seen
    pair.keep.receive(owner.send(STDIN_END, 0, b"result"))
    pair.sent()
    reader = granted(pair, package=pair.package.digest, session=pair.session.transcript)
    opener = reader.opener()
    payloads = [p for kind, p in pair.frames if kind is FrameType.OUTPUT]
    records = [opener.open(p) for p in payloads[1:]]
    assert b"".join(r.data for r in records if r.kind == STDOUT) == b"result"
    final = records[-1].final
    assert final is not None
    assert (opener.lost, opener.finished, final.status.code) == (0, True, EXIT_CODE)
    receipt = Receipt.make(reader, final)
    assert Receipt.from_bytes(receipt.to_bytes()).verify().status.code == EXIT_CODE
    owners = [owner.receive(FrameType.OUTPUT, p) for p in payloads[1:]]
    assert {(o.kind, o.data, o.final) for o in owners if o} == {(SEALED, b"", None)}
    assert owner.output.finished


def test_recipients_alone_hold_up_nothing() -> None:
    pair = accepted(READER, seeds=())
    assert pair.keep.start is not None
    pair.sent()
    assert [kind for kind, _ in pair.frames[-2:]] == [FrameType.OUTPUT, FrameType.GRANT]
    assert granted(pair).identity == pair.session.identity


def test_a_deadline_names_what_is_missing() -> None:
    pair = accepted(READER)
    owner = attached(pair)
    assert party(pair, SOUTH).contribute()
    pair.clock.seconds += 601
    pair.keep.tick()
    *_, final = pair.read(owner)
    assert final.status is not None
    assert final.status.cause == "refused"
    assert final.status.message == "parts-missing: no part came within 600 s from North Hospital"
    assert pair.keep.start is None
    assert pair.keep.over


@pytest.mark.parametrize("recipients", [(), (READER,)])
def test_the_owner_stops_a_job_that_waits(recipients) -> None:  # type: ignore[no-untyped-def]
    pair = accepted(*recipients)
    owner = attached(pair)
    pair.keep.receive(owner.send(STOP, 0))
    *_, final = pair.read(owner)
    assert final.status is not None
    assert final.status.cause == "stopped"
    assert pair.keep.over
    assert len(pair.keep.of(StoreSecrets)) == 1
