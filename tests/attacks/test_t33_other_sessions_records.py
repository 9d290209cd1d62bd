"""T33: the thief of two session files moves signed records from one to the other: acceptance, checkpoints, final record."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

from enarx.delivery.output import ACCEPTED, CHECKPOINT, FINAL, OutputSealer
from enarx.delivery.reading import OutputOpener
from enarx.delivery.session import STDOUT, Status
from enarx.delivery.suite import signing_key
from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType
from tests.attacks.real import Machine, finish
from tests.attacks.test_t31_stolen_session import Record, Thief, read, sealed

CODES = {ACCEPTED: "acceptance-signature", CHECKPOINT: "checkpoint-signature", FINAL: "final-signature"}


def run(machine: Machine, built) -> tuple[Thief, list[Record]]:  # type: ignore[no-untyped-def]
    wire = machine.keep()
    delivered = machine.deliver(wire, built)
    finish(wire, delivered)
    thief = Thief(delivered.session)
    return thief, [thief.open(payload) for payload in wire.of(FrameType.OUTPUT)]


@pytest.mark.parametrize("kind", CODES, ids=["acceptance", "checkpoint", "final record"])
def test_of_another_run_of_the_same_package(machine: Machine, kind: int) -> None:
    built = machine.package("hello")
    (thief, mine), (_, theirs) = run(machine, built), run(machine, built)
    assert [k for k, _, _ in mine] == [k for k, _, _ in theirs]
    mixed = [b if b[0] == kind else a for a, b in zip(mine, theirs, strict=True)]
    assert mixed != mine
    with pytest.raises(DeliveryError, check=lambda e: e.code == CODES[kind]):
        read(thief, sealed(thief, mixed))


@pytest.mark.parametrize("kind", CODES, ids=["acceptance", "checkpoint", "final record"])
def test_of_another_session_under_the_same_key(kind: int) -> None:
    """A Keep has one session, so its key alone would do; the signatures do not rely on that."""
    key, package = signing_key(bytes(32)), bytes(32)
    identity = key.public_key().public_bytes_raw()
    sessions = []
    for transcript in (b"1" * 32, b"2" * 32):
        names = {"secret": b"s" * 32, "session": transcript, "package": package}
        sealer = OutputSealer(**names, key=key)
        payloads = [sealer.acceptance(1), *sealer.data(STDOUT, b"hello"), *sealer.final(Status(cause="exit", code=0))]
        opener = partial(OutputOpener, **names, identity=identity)
        thief = Thief(SimpleNamespace(secret=names["secret"], transcript=transcript, opener=opener))  # type: ignore[arg-type]
        sessions.append((thief, [thief.open(payload) for payload in payloads]))
    (thief, mine), (_, theirs) = sessions
    assert read(thief, sealed(thief, mine)).finished
    mixed = [b if b[0] == kind else a for a, b in zip(mine, theirs, strict=True)]
    with pytest.raises(DeliveryError, check=lambda e: e.code == CODES[kind]):
        read(thief, sealed(thief, mixed))


def test_records_as_they_are_do_not_even_open(machine: Machine) -> None:
    built = machine.package("hello")
    (thief, mine), (other, _) = run(machine, built), run(machine, built)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "record-broken"):
        read(other, sealed(thief, mine))


def test_a_checkpoint_of_the_other_stream(machine: Machine) -> None:
    """The checkpoints of both streams have the same size here; the signature covers the stream's number."""
    thief, records = run(machine, machine.package("both"))
    at = [i for i, (kind, _, _) in enumerate(records) if kind == CHECKPOINT]
    assert len(at) == 2
    kind, offset, data = records[at[0]]
    swapped = [*records]
    swapped[at[0]] = (kind, offset, bytes([3 - data[0]]) + data[1:])
    with pytest.raises(DeliveryError, check=lambda e: e.code == "checkpoint-signature"):
        read(thief, sealed(thief, swapped))


def test_an_earlier_checkpoint_again(machine: Machine) -> None:
    thief, records = run(machine, machine.package("hello"))
    at = next(i for i, (kind, _, _) in enumerate(records) if kind == CHECKPOINT)
    again = [*records[: at + 1], (1, 6, b"more"), records[at], *records[at + 1 :]]
    with pytest.raises(DeliveryError, check=lambda e: e.code == "record-offset"):
        read(thief, sealed(thief, again))
