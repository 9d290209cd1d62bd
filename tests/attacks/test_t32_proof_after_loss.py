"""T32: the host drops output. Proof resumes at the stream's next checkpoint; the bytes between are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from enarx.delivery.output import CHECKPOINT, FILES, HEADER, PIECE
from enarx.delivery.session import STDERR, STDOUT
from enarx.delivery.tenant import Session
from enarx.formats.wire import FrameType
from tests.attacks.proxy import Frame, Proxy
from tests.attacks.real import Machine, finish
from tests.attacks.test_t31_stolen_session import Thief
from tests.programs import module

PIECES = 4
SIZE = PIECES * PIECE + 1000
Drop = Callable[[int, int], bool]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, list[tuple[int, int, int, bytes]]]:
    """Return a real Keep's output of a little over four pieces: kind, offset, size and payload of each record."""
    machine = Machine(tmp_path_factory.mktemp("machine") / "machine")
    wire = machine.keep()
    delivered = machine.deliver(wire, machine.package("cat"))
    result, shown = finish(wire, delivered, bytes(SIZE))
    assert (len(shown), result.lost, result.unproven) == (SIZE, False, (0, 0))
    thief = Thief(delivered.session)
    found = []
    for payload in wire.of(FrameType.OUTPUT):
        kind, offset, data = thief.open(payload)
        found.append((kind, offset, len(data), payload))
    machine.close()
    return delivered.session, found


def test_a_checkpoint_comes_with_each_piece(run: tuple[Session, list[tuple[int, int, int, bytes]]]) -> None:
    _, records = run
    assert [offset for kind, offset, _, _ in records if kind == CHECKPOINT] == [
        *(PIECE * n for n in range(1, PIECES + 1)),
        SIZE,
    ]


def in_piece(number: int) -> Drop:
    return lambda kind, offset: kind == STDOUT and offset // PIECE == number


def first_of_piece(number: int) -> Drop:
    return lambda kind, offset: kind == STDOUT and offset == number * PIECE


def checkpoint(number: int) -> Drop:
    return lambda kind, offset: kind == CHECKPOINT and offset == number * PIECE


@pytest.mark.parametrize(
    ("name", "drop", "unproven"),
    [
        ("first record of the second piece", first_of_piece(1), PIECE),
        ("all of the second piece", in_piece(1), PIECE),
        ("first record of all", first_of_piece(0), PIECE),
        ("the first checkpoint alone", checkpoint(1), 0),
        ("all checkpoints", lambda kind, _: kind == CHECKPOINT, 0),
        ("part of the last piece", first_of_piece(PIECES), 1000),
        ("a record and its checkpoint", lambda k, o: first_of_piece(1)(k, o) or checkpoint(2)(k, o), 2 * PIECE),
        ("two pieces apart", lambda k, o: first_of_piece(0)(k, o) or first_of_piece(2)(k, o), 2 * PIECE),
        ("everything but the end", lambda kind, _: kind in (STDOUT, CHECKPOINT), SIZE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_unproven(
    run: tuple[Session, list[tuple[int, int, int, bytes]]], name: str, drop: Drop, unproven: int
) -> None:
    session, records = run
    opener = session.opener()
    for kind, offset, _, payload in records:
        if not drop(kind, offset):
            opener.open(payload)
    assert opener.finished, name
    assert opener.lost > 0
    assert opener.unproven == {STDOUT: unproven, STDERR: 0, FILES: 0}


def test_the_command_says_how_many(host: Proxy, home: Path) -> None:
    """The command exits with 127, whatever the workload's exit code."""
    (home / "cat.wasm").write_bytes(module("cat"))

    def drop(kind: FrameType, payload: bytes) -> list[Frame]:
        dropped = kind is FrameType.OUTPUT and HEADER.unpack_from(payload)[0] == 1
        return [] if dropped else [(kind, payload)]

    host.to_tenant = drop
    found = host.deploy("--json", home / "cat.wasm", stdin=bytes(SIZE))
    assert found.returncode == 127
    assert f"{PIECE} bytes of stdout and 0 of stderr are unproven".encode() in found.stderr
    assert f'"unproven": {{"stdout": {PIECE}, "stderr": 0}}'.encode() in found.stderr
