"""T31: the thief of a session file, with the host's help, forges output and results. The thief has the session's secret, and
not the Keep's identity key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.output import ACCEPTED, CHECKPOINT, FILES, FINAL, HEADER, OutputSealer, output_key
from enarx.delivery.reading import OutputOpener
from enarx.delivery.session import BODY, STDERR, STDOUT, Status, seal_record
from enarx.delivery.suite import signing_key
from enarx.delivery.tenant import Session
from enarx.errors import DeliveryError
from enarx.formats.wire import FrameType
from tests.attacks.proxy import Frame, Proxy
from tests.attacks.real import Machine, finish
from tests.programs import module

Record = tuple[int, int, bytes]


class Thief:
    """Opens a session's records, and seals others instead."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._aead = AESGCM(output_key(session.secret, session.transcript))

    def open(self, payload: bytes) -> Record:
        number, final = HEADER.unpack_from(payload)
        nonce = bytes(3) + number.to_bytes(8, "big") + bytes([final])
        plain = self._aead.decrypt(nonce, payload[HEADER.size :], payload[: HEADER.size])
        return *BODY.unpack_from(plain), plain[BODY.size :]

    def seal(self, number: int, record: Record) -> bytes:
        kind, offset, data = record
        header = HEADER.pack(number, kind == FINAL)
        return seal_record(self._aead, number, kind == FINAL, header, BODY.pack(kind, offset), data)

    def sealer(self) -> OutputSealer:
        """Return all records of a Keep, signed with the thief's own key."""
        mine = self.session
        key = signing_key(os.urandom(32))
        return OutputSealer(secret=mine.secret, session=mine.transcript, package=mine.package, key=key)


@pytest.fixture
def robbed(machine: Machine) -> tuple[Thief, list[Record]]:
    """A thief, and the genuine records of a run: acceptance, stdout, stderr, checkpoints, final record."""
    wire = machine.keep()
    delivered = machine.deliver(wire, machine.package("both"))
    finish(wire, delivered)
    thief = Thief(delivered.session)
    return thief, [thief.open(payload) for payload in wire.of(FrameType.OUTPUT)]


def read(thief: Thief, payloads: list[bytes]) -> OutputOpener:
    opener = thief.session.opener()
    for payload in payloads:
        opener.open(payload)
    return opener


def sealed(thief: Thief, records: list[Record]) -> list[bytes]:
    return [thief.seal(number, record) for number, record in enumerate(records)]


def test_the_true_records_are_believed(robbed: tuple[Thief, list[Record]]) -> None:
    thief, records = robbed
    assert sorted({kind for kind, _, _ in records}) == [STDOUT, STDERR, FINAL, CHECKPOINT, ACCEPTED]
    opener = read(thief, sealed(thief, records))
    assert opener.finished
    assert opener.unproven == {STDOUT: 0, STDERR: 0, FILES: 0}


def test_nothing_signed_with_a_key_of_his_own(robbed: tuple[Thief, list[Record]]) -> None:
    thief, records = robbed
    sealer = thief.sealer()
    acceptance = sealer.acceptance(1)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "acceptance-signature"):
        read(thief, [acceptance])
    true = thief.seal(0, records[0])
    data = sealer.data(STDOUT, b"forged")
    checkpoint, final = sealer.final(Status(cause="exit", code=0))
    with pytest.raises(DeliveryError, check=lambda e: e.code == "checkpoint-signature"):
        read(thief, [true, *data, checkpoint])
    with pytest.raises(DeliveryError, check=lambda e: e.code == "final-signature"):
        read(thief, [true, *data, final])


@pytest.mark.parametrize("stream", [STDOUT, STDERR])
def test_other_bytes_in_the_place_of_the_true_ones(robbed: tuple[Thief, list[Record]], stream: int) -> None:
    thief, records = robbed
    forged = [(k, o, data[:-1] + b"!" if k == stream else data) for k, o, data in records]
    with pytest.raises(DeliveryError, check=lambda e: e.code == "output-forged"):
        read(thief, sealed(thief, forged))


def test_other_bytes_with_the_checkpoints_left_out(robbed: tuple[Thief, list[Record]]) -> None:
    """The final record repeats the last checkpoints, so dropping those gains nothing."""
    thief, records = robbed
    numbered = list(enumerate(records))
    forged = [
        thief.seal(n, (k, o, b"x" * len(data) if k in (STDOUT, STDERR) else data))
        for n, (k, o, data) in numbered
        if k != CHECKPOINT
    ]
    with pytest.raises(DeliveryError, check=lambda e: e.code == "output-forged"):
        read(thief, forged)


def test_bytes_added_or_cut(robbed: tuple[Thief, list[Record]]) -> None:
    thief, records = robbed
    at = next(i for i, (kind, _, _) in enumerate(records) if kind == CHECKPOINT)
    for place in (at, len(records) - 1):
        more = [*records[:place], (STDOUT, 4, b"more"), *records[place:]]
        with pytest.raises(DeliveryError, check=lambda e: e.code in ("record-offset", "record-order", "output-forged")):
            read(thief, sealed(thief, more))
    fewer = [record for record in records if record[0] not in (STDOUT, CHECKPOINT)]
    with pytest.raises(DeliveryError, check=lambda e: e.code in ("record-offset", "record-order")):
        read(thief, sealed(thief, fewer))


def test_another_status(robbed: tuple[Thief, list[Record]]) -> None:
    thief, records = robbed
    kind, offset, data = records[-1]
    assert b"exit" in data
    forged = [*records[:-1], (kind, offset, data.replace(b"exit", b"trap"))]
    with pytest.raises(DeliveryError, check=lambda e: e.code == "final-signature"):
        read(thief, sealed(thief, forged))


def test_forgery_dressed_up_as_loss_is_unproven(robbed: tuple[Thief, list[Record]]) -> None:
    """What remains: the thief can replace bytes that the host seems to have dropped. They are counted as unproven."""
    thief, records = robbed
    kinds = [kind for kind, _, _ in records]
    at = kinds.index(STDOUT)
    size = len(records[at][2])
    forged = [thief.seal(n, record) for n, record in enumerate(records) if n != at]
    invented = thief.seal(at + 1, (STDOUT, 1, b"x" * (size - 1)))
    forged = [payload for payload in forged if HEADER.unpack_from(payload)[0] != at + 1]
    opener = thief.session.opener()
    for payload in sorted([*forged, invented], key=lambda p: HEADER.unpack_from(p)[0]):
        opener.open(payload)
    assert opener.finished
    assert opener.lost == 1
    assert opener.unproven[STDOUT] == size


@pytest.fixture
def job(host: Proxy, home: Path) -> tuple[Thief, str]:
    """A job that has ended, at a host that also has its session file."""
    (home / "hello.wasm").write_bytes(module("hello"))
    found = host.deploy("--detach", home / "hello.wasm")
    assert found.returncode == 0, found.stderr
    (path,) = (home / "state" / "enarx" / "sessions").iterdir()
    session = Session.from_bytes(bytes.fromhex(json.loads(path.read_text())["session"]))
    return Thief(session), found.stdout.decode().strip()


@pytest.mark.parametrize("command", ["logs", "attach"])
@pytest.mark.parametrize("what", ["output", "result"])
def test_the_command_refuses_them(host: Proxy, job: tuple[Thief, str], command: str, what: str) -> None:
    thief, keep = job
    honest = host.enarx("keep", "attach", keep, "--host", host.url)
    assert (honest.returncode, honest.stdout) == (0, b"hello\n"), honest.stderr
    final = thief.sealer().final(Status(cause="exit", code=0))[-1]

    def forge(kind: FrameType, payload: bytes) -> list[Frame]:
        if kind is not FrameType.OUTPUT:
            return [(kind, payload)]
        number, last = HEADER.unpack_from(payload)
        found, offset, data = thief.open(payload)
        if what == "output" and found == STDOUT:
            payload = thief.seal(number, (found, offset, b"HELLO\n"))
        if what == "result" and last:
            payload = thief.seal(number, thief.open(final))
        return [(kind, payload)]

    host.to_tenant = forge
    found = host.enarx("keep", command, keep, "--host", host.url)
    assert found.returncode == 126, found.stderr
    assert b"error:" in found.stderr
