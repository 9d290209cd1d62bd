"""A Keep that waits for the parts of several owners of data."""

from __future__ import annotations

import pytest

from enarx.delivery.content import FilePiece
from enarx.delivery.reading import SEALED
from enarx.delivery.receipt import Receipt
from enarx.delivery.session import STDIN, STDIN_END, STDOUT, STOP
from enarx.delivery.tenant import Attachment, Freshness
from enarx.errors import DeliveryError, EnarxError
from enarx.formats.making import make_manifest
from enarx.formats.sharing import Recipient
from enarx.formats.wire import CHUNK, LARGEST, FrameType
from enarx.keep.core.actions import Start, StoreSecrets
from enarx.record import replace
from tests.exchange import ATTACH_NONCE, FILE, public
from tests.keep.core.driver import EXIT_CODE
from tests.keep.core.pair import Manual, Pair, attest
from tests.parties import (
    CONFIG,
    NORTH,
    NORTH_FILE,
    READER,
    SOUTH,
    SOUTH_FILE,
    accepted,
    chunks_of,
    granted,
    part_of,
    party,
    shared,
)

ROOMY = CONFIG.replace(limits=replace(CONFIG.limits, disk=64 << 20))


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


def test_parts_come_at_the_same_time_in_any_order_of_chunks() -> None:
    pair = accepted(config=ROOMY)
    sides = [party(pair, seed) for seed in (NORTH, SOUTH)]
    parts = {NORTH: b"north" * CHUNK, SOUTH: b"south" * CHUNK}
    streams = []
    for side, (seed, content) in zip(sides, parts.items(), strict=True):
        side.join()
        streams.append(side.frames(*part_of(seed, content)))
    for i in range(max(map(len, streams))):
        for side, stream in zip(sides, streams, strict=True):
            side.send(*stream[i : i + 1])
    assert all(side.confirmed() for side in sides)
    assert (pair.keep.files["0/rows"], pair.keep.files["2/rows"]) == tuple(parts.values())


def test_chunks_are_confirmed_and_an_interrupted_part_resumes() -> None:
    pair = accepted(config=ROOMY)
    north = party(pair, NORTH)
    north.join()
    part, plaintext = part_of(NORTH, b"rows" * (5 * CHUNK))
    first, *chunks = north.frames(part, plaintext)
    assert len(chunks) == 21
    news = north.send(first, *chunks[:17])
    assert [north.side.received(p) for kind, p in news if kind is FrameType.PART_RECEIVED] == [True]
    assert north.side.confirmed == 16
    news = north.send(north.side.again())
    assert [north.side.received(p) for kind, p in news if kind is FrameType.PART_RECEIVED] == [True]
    assert north.side.resume() == 17
    north.send(*chunks[3:5], *chunks_of(north.side, plaintext[17 * CHUNK :]))
    assert north.confirmed() == part.digest


def test_a_slow_part_is_confirmed_at_intervals() -> None:
    pair = accepted()
    north = party(pair, NORTH)
    north.join()
    first, *chunks = north.frames(*part_of(NORTH, b"rows" * CHUNK))
    assert north.send(first, chunks[0]) == []
    pair.clock.seconds += 5
    assert [kind for kind, _ in north.send(chunks[1])] == [FrameType.PART_RECEIVED]


class Full(Manual):
    """Its storage fails at the first piece of a file of /north."""

    error: Exception | None = None

    def _FilePiece(self, action: FilePiece) -> None:  # noqa: N802
        error, Full.error = Full.error, None
        if error is None or action.tree:
            super()._FilePiece(action)
        elif isinstance(error, MemoryError):
            self.core.out_of_memory(self._clock())
        else:
            assert isinstance(error, EnarxError)
            self.core.failed(error, self._clock())


@pytest.mark.parametrize(
    "error", [DeliveryError("storage", "full", state="session"), MemoryError()], ids=["disk", "memory"]
)
def test_storage_that_fails_ends_the_attempt_and_not_the_job(error: Exception) -> None:
    pair = accepted(keep=Full)
    Full.error = error
    first = party(pair, NORTH)
    assert first.contribute() is None
    assert first.codes() == ["storage" if isinstance(error, EnarxError) else "keeper-memory"]
    assert pair.keep.files == {"1/d/f": FILE}
    assert party(pair, NORTH).contribute()
    assert party(pair, SOUTH).contribute()
    assert pair.keep.start is not None


def test_a_provider_begins_again_while_its_part_is_under_way() -> None:
    pair = accepted()
    first, second = party(pair, NORTH), party(pair, NORTH)
    first.join()
    frames = first.frames(*part_of(NORTH, b"rows" * CHUNK))
    first.send(*frames[:2])
    assert second.contribute() == part_of(NORTH)[0].digest
    first.seen += second.seen
    assert first.codes() == ["begun-again"]
    first.send(*frames[2:])
    assert pair.keep.files["0/rows"] == NORTH_FILE


def test_hardware_without_an_answer_ends_nothing() -> None:
    """A Join that got no evidence is forgotten, and the next is answered."""
    for silent in (True, False):
        pair = accepted()
        pair.sent()
        if silent:
            pair.keep._AskEvidence = lambda _: pair.keep.core.no_evidence()  # type: ignore[method-assign]  # noqa: B023
        else:
            pair.keep._attest = lambda _: ("simulated", bytes(LARGEST[FrameType.INVITATION]), ())
        north = party(pair, NORTH)
        assert north.send(north.side.join()) == []
        pair.keep._attest = attest
        pair.keep._AskEvidence = type(pair.keep)._AskEvidence.__get__(pair.keep)  # type: ignore[method-assign]
        assert party(pair, NORTH).contribute()


def test_the_owner_gets_fresh_evidence_while_it_waits() -> None:
    pair = accepted()
    fresh = Freshness(pair.session, nonce=bytes(32))
    pair.sent()
    pair.keep.receive(fresh.request())
    assert fresh.answer(pair.only(FrameType.EVIDENCE)) is not None


def test_a_join_after_the_start_is_answered() -> None:
    """A provider can see again what runs; the Keep takes no part any more."""
    pair = accepted(keep=Manual)
    assert party(pair, NORTH).contribute()
    assert party(pair, SOUTH).contribute()
    late = party(pair, NORTH)
    assert late.contribute() is None
    assert late.codes() == ["contributed-already"]
    assert party(pair, None).join()
    assert pair.state == "session"


@pytest.mark.parametrize("recipients", [(), (READER,)], ids=["providers", "recipients"])
def test_a_keep_without_the_profile_refuses_the_package(recipients) -> None:  # type: ignore[no-untyped-def]
    seeds = () if recipients else (NORTH, SOUTH)
    pair = Pair(package=shared(*recipients, seeds=seeds), gathering=None)
    pair.begin()
    assert pair.code() == "providers"
    assert pair.keep.stored == []


def test_a_recipient_whose_key_is_not_valid_is_refused_before_the_acceptance() -> None:
    package = shared(READER, seeds=())
    assert Pair(package=package).begin()
    broken = make_manifest(
        owners=package.owners,
        wasm=package.wasm,
        config=package.config,
        args=package.args,
        env=package.env,
        dirs=package.dirs,
        recipients=(Recipient(key=b"\xff" * 1216, name="Reader"),),
    )
    pair = Pair(package=broken)
    for chunk in pair.begin():
        pair.keep.receive(chunk)
    assert pair.code() == "hpke-key"
    assert pair.keep.start is None
