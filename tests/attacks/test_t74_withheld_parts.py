"""T74: a part never comes, or another provider's frames crowd it out. The error names the provider; the others go on."""

from __future__ import annotations

import os
import time

import pytest

from enarx.delivery.session import STOP
from enarx.delivery.sharing import PART_HEADER, Contribution, Join
from enarx.delivery.suite import signing_key
from enarx.delivery.tenant import Attachment
from enarx.formats.config import Config
from enarx.formats.package import Node, encode_index
from enarx.formats.wire import CHUNK, HEADER, LARGEST, FrameType, frame
from enarx.keep.core.actions import AskEvidence
from enarx.record import replace
from tests.attacks.real import Machine, finish
from tests.attacks.shared import RESULT, Ward
from tests.exchange import ATTACH_NONCE, public
from tests.keep.core.pair import Pair, Unattested
from tests.parties import CONFIG, NORTH, NORTH_FILE, SOUTH, Part, accepted, part_of, party

SOON = CONFIG.replace(limits=replace(CONFIG.limits, contributions=1.0))


def final(pair: Pair) -> tuple[str, str]:
    """Cause and message of the final record."""
    attachment = Attachment(pair.session, nonce=ATTACH_NONCE)
    outputs = [attachment.receive(k, p) for k, p in [*pair.frames, *pair.sent()] if k is FrameType.OUTPUT]
    (end,) = [output.status for output in outputs if output is not None and output.status is not None]
    return end.cause, end.message


def joins(seed: bytes, package: bytes, count: int) -> list[bytes]:
    """Different Joins in this provider's name, which its key has signed."""
    frames = []
    for _ in range(count):
        join = Join(nonce=os.urandom(32), provider=public(seed), package=package, signature=bytes(64))
        join = replace(join, signature=signing_key(seed).sign(join.signed))
        frames.append(frame(FrameType.JOIN, join.to_bytes()))
    return frames


def junk(count: int) -> list[bytes]:
    """Frames in both providers' names that neither of them sealed or signed."""
    chunk = [frame(FrameType.PART, PART_HEADER.pack(i % 3, i % 2) + os.urandom(64 + CHUNK // 64)) for i in range(count)]
    contribution = Contribution(provider=public(NORTH), signature=bytes(64), sealed=bytes(99), commitment=bytes(32))
    return [*chunk, *[frame(FrameType.CONTRIBUTION, contribution.to_bytes())] * count]


@pytest.mark.parametrize("sent", [0, 1, 2], ids=["nothing", "an invitation was sent for", "all but the last chunk"])
def test_what_is_withheld_is_named(sent: int) -> None:
    pair = accepted()
    assert party(pair, SOUTH).contribute()
    north = party(pair, NORTH)
    if sent:
        north.join()
    if sent == 2:
        north.send(*north.frames(*part_of(NORTH, b"rows" * CHUNK))[:-1])
        assert "0/rows" in pair.keep.files
    pair.clock.seconds += 599
    pair.keep.tick()
    assert not pair.keep.over
    pair.clock.seconds += 2
    pair.keep.tick()
    assert final(pair) == ("refused", "parts-missing: no part came within 600 s from North Hospital")
    assert pair.keep.start is None


def test_the_control_it_comes_in_time() -> None:
    pair = accepted()
    assert party(pair, SOUTH).contribute()
    pair.clock.seconds += 599
    pair.keep.tick()
    assert party(pair, NORTH).contribute()
    pair.clock.seconds += 5
    pair.keep.tick()
    assert pair.keep.start is not None
    assert not pair.keep.over


def test_a_real_keep_ends_at_the_deadline(machine: Machine) -> None:
    ward = Ward.make(machine, config=SOON)
    ward.contribute(SOUTH)
    result, shown = finish(ward.wire, ward.delivered)
    assert (result.status.cause, shown) == ("refused", b"")
    assert result.status.message == "parts-missing: no part came within 1 s from North Hospital"


def test_junk_ends_no_attempt() -> None:
    pair = accepted()
    north = party(pair, NORTH)
    north.join()
    part, plaintext = part_of(NORTH, NORTH_FILE * 100_000)
    other = party(pair, None)
    for piece in north.frames(part, plaintext):
        other.send(*junk(20))
        north.send(piece)
        other.send(*junk(20))
    assert north.confirmed() == part.digest


@pytest.mark.parametrize(
    "head", [(1, 19), (1, 31), (LARGEST[FrameType.PART] + 2, 18), (LARGEST[FrameType.JOIN] + 2, 16)], ids=str
)
def test_malformed_frames_of_providers_leave_the_owner_attached(head: tuple[int, int]) -> None:
    """Anyone who may contribute may send these. The owner's own types still end its attachment (T37)."""
    pair = accepted()
    owner = Attachment(pair.session, nonce=ATTACH_NONCE)
    pair.keep.receive(owner.attach())
    pair.read(owner)
    pair.keep.receive(HEADER.pack(*head) + bytes(head[0] - 1))
    assert pair.sent() == []
    pair.keep.receive(owner.send(STOP, 0))
    assert final(pair)[0] == "stopped"


def test_a_flood_asks_for_one_piece_of_evidence_at_a_time() -> None:
    """However many Joins come, one request of each provider waits; the owner's request for evidence has its turn."""
    pair = accepted()
    pair.keep._AskEvidence = Unattested._AskEvidence.__get__(pair.keep)  # type: ignore[method-assign]
    before = len(pair.keep.of(AskEvidence))
    for join in joins(SOUTH, pair.package.digest, 200):
        pair.keep.receive(join)
    assert len(pair.keep.of(AskEvidence)) == before + 1
    pair.keep.receive(joins(NORTH, pair.package.digest, 1)[0])
    for _ in range(2):
        pair.keep.core.evidence("simulated", b"evidence", (), pair.clock())
        pair.keep.act()
    assert len(pair.keep.of(AskEvidence)) == before + 2
    kinds = [kind for kind, _ in pair.sent()]
    assert kinds.count(FrameType.INVITATION) == 2


def test_a_part_too_large_is_declined_and_the_other_fits() -> None:
    """Parts share limits.disk. What a declined part took is free again."""
    pair = accepted()
    south = party(pair, SOUTH)
    assert south.contribute(*part_of(SOUTH, bytes(5 << 20))) is None
    assert south.codes() == ["disk-limit"]
    north = party(pair, NORTH)
    assert north.contribute(*part_of(NORTH, bytes(3 << 20)))
    late = party(pair, SOUTH)
    assert late.contribute(*part_of(SOUTH, bytes(2 << 20))) is None
    assert late.codes() == ["disk-limit"]
    assert party(pair, SOUTH).contribute()
    assert pair.keep.start is not None


def test_a_part_cannot_take_the_others_share_of_entries() -> None:
    from enarx.formats.package import MAX_ENTRIES

    pair = accepted()
    south = party(pair, SOUTH)
    index = encode_index([Node(f"{i:x}", "d") for i in range(MAX_ENTRIES // 2 + 1)])
    part = Part.make(salt=bytes(32), secrets={}, indexes=(index,))
    assert south.contribute(part, part.prefix) is None
    assert south.codes() == ["index-size"]
    assert party(pair, NORTH).contribute()


def test_a_flood_holds_up_neither_a_real_keep_nor_its_limit(machine: Machine) -> None:
    ward = Ward.make(machine)
    north = ward.provider(NORTH)
    ward.wire.send(joins(SOUTH, ward.package.manifest.digest, 500) + junk(500))
    start = time.monotonic()
    ward.give(north, *part_of(NORTH))
    ward.wire.send(junk(500))
    assert north.contributed(ward.wire.wait(FrameType.CONTRIBUTED))
    assert time.monotonic() - start < 20
    ward.contribute(SOUTH)
    result, shown = finish(ward.wire, ward.delivered)
    assert (result.status.cause, shown) == ("exit", RESULT)


def test_the_owner_can_stop_a_keep_that_is_flooded(machine: Machine) -> None:
    config = Config.from_toml('[secrets]\nkey = {}\npin = {env = "PIN"}\n[limits]\ndisk = "4 MiB"\n').replace(
        args=CONFIG.args, env=CONFIG.env
    )
    ward = Ward.make(machine, config=config)
    ward.provider(NORTH)
    ward.wire.send(junk(1000))
    owner = Attachment(ward.delivered.session, nonce=os.urandom(32))
    ward.wire.send([owner.attach()])
    owner.receive(FrameType.ATTACHED, ward.wire.wait(FrameType.ATTACHED))
    ward.wire.send([owner.send(STOP, 0), *junk(10)])
    opener = ward.delivered.session.opener()
    record = opener.open(ward.wire.wait(FrameType.OUTPUT))
    end = opener.open(ward.wire.wait(FrameType.OUTPUT, 2))
    assert record.final is None
    assert end.status is not None
    assert end.status.cause == "stopped"
