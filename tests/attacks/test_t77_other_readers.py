"""T77: output is read by someone whom the manifest does not name, or a recipient is shown the output of another run."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.api.workloads import Out
from enarx.delivery.contribution import open_grant
from enarx.delivery.output import CHECKPOINT, FINAL
from enarx.delivery.reading import SEALED, OutputOpener
from enarx.delivery.session import STDOUT
from enarx.delivery.tenant import Attachment
from enarx.errors import DeliveryError, UnavailableError, VerificationError
from enarx.formats.config import Config, Dir
from enarx.formats.sharing import Recipient
from enarx.formats.wire import FrameType
from enarx.tenant.package import build
from enarx.tenant.receiving import Reading
from tests.attacks.real import Machine
from tests.attacks.shared import RESULT, Ward
from tests.exchange import ATTACH_NONCE
from tests.keep.core.pair import Pair
from tests.parties import NORTH, OTHER_READER, READER, SOUTH, accepted, granted, party
from tests.wat import reporter

OUTPUT = b"canary-stdout" * 50_000


def ran(output: bytes = OUTPUT, code: int = 3, **options: object) -> tuple[Pair, list[bytes]]:
    """A whole run for one recipient; returns the payloads of its OUTPUT frames."""
    from enarx.formats.wire import encode
    from tests.keep.core.driver import VANISHED

    pair = accepted(READER, **options)
    for seed in (NORTH, SOUTH):
        side = party(pair, seed)
        assert side.contribute()
        pair.frames += side.seen
    pair.keep.core.output(1, output)
    pair.keep.core.ended(encode({"cause": "exit", "code": code}), VANISHED, pair.clock())
    pair.keep.act()
    pair.sent()
    return pair, [p for kind, p in pair.frames if kind is FrameType.OUTPUT]


def test_the_control_the_recipient_reads_everything() -> None:
    pair, payloads = ran()
    opener = granted(pair, package=pair.package.digest, session=pair.session.transcript).opener()
    records = [opener.open(payload) for payload in payloads[1:]]
    assert {record.kind for record in records} == {STDOUT, CHECKPOINT, FINAL}
    assert b"".join(record.data for record in records if record.kind == STDOUT) == OUTPUT
    assert (opener.finished, opener.lost, sum(opener.unproven.values())) == (True, 0, 0)


def test_the_owner_learns_acceptance_and_an_unproven_end() -> None:
    """No running hash, exit code or byte: what the owner opens is the same whatever the workload wrote."""
    seen = []
    for output, code in ((OUTPUT, 3), (bytes(len(OUTPUT)), 0)):
        pair, payloads = ran(output, code)
        attachment = Attachment(pair.session, nonce=ATTACH_NONCE)
        records = [attachment.receive(FrameType.OUTPUT, payload) for payload in payloads]
        assert attachment.output.finished
        seen.append([(r.kind, r.offset, r.data, r.final) for r in records if r is not None][1:])
    assert seen[0] == seen[1]
    assert {record[0] for record in seen[0]} == {SEALED}


def test_the_owners_secret_opens_no_record_of_the_output() -> None:
    pair, payloads = ran()
    session = pair.session
    opener = OutputOpener(
        secret=session.secret, session=session.transcript, package=session.package, identity=session.identity
    )
    opener.open(payloads[0])
    for payload in payloads[1:]:
        with pytest.raises(DeliveryError, check=lambda e: e.code == "record-broken"):
            opener.open(payload)


def test_an_owner_who_names_itself_reads_it() -> None:
    """The key decides, not the role."""
    pair, payloads = ran()
    opener = granted(pair).opener()
    assert opener.open(payloads[1]).kind == STDOUT


def test_another_key_opens_no_grant() -> None:
    pair, _ = ran()
    assert granted(pair, READER).secret
    with pytest.raises(DeliveryError, check=lambda e: e.code == "not-a-recipient"):
        granted(pair, OTHER_READER)


def test_a_grant_of_another_run_of_the_same_package() -> None:
    """A recipient who was told the session refuses it; to the other records it is of no use."""
    (mine, payloads), (other, _) = ran(), ran(entropy=bytes(range(1, 129)))
    assert mine.package.digest == other.package.digest
    (grant,) = [p for kind, p in other.frames if kind is FrameType.GRANT]
    theirs = open_grant(grant, READER, package=mine.package.digest)
    with pytest.raises(VerificationError, check=lambda e: e.code == "grant-other"):
        open_grant(grant, READER, session=mine.session.transcript)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "record-broken"):
        theirs.opener().open(payloads[1])


def test_a_grant_of_another_package() -> None:
    pair, _ = ran()
    with pytest.raises(VerificationError, check=lambda e: e.code == "grant-other"):
        granted(pair, package=bytes(32))


def test_a_final_record_of_another_run() -> None:
    (mine, payloads), (other, others) = ran(), ran(entropy=bytes(range(1, 129)))
    opener = granted(mine).opener()
    for payload in payloads[1:-1]:
        opener.open(payload)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "record-broken"):
        opener.open(others[-1])
    assert opener.open(payloads[-1]).status is not None
    assert other.session.transcript != mine.session.transcript


def test_before_the_start_there_is_nothing_to_grant() -> None:
    pair = accepted(READER)
    assert party(pair, NORTH).contribute()
    assert FrameType.GRANT not in [kind for kind, _ in pair.sent()]


def test_the_owner_of_a_real_run(machine: Machine) -> None:
    ward = Ward.make(machine, READER)
    ward.both()
    reader = ward.granted(READER).opener()
    ward.wire.until_end()
    payloads = ward.wire.of(FrameType.OUTPUT)
    assert b"".join(r.data for r in map(reader.open, payloads[1:]) if r.kind == STDOUT) == RESULT
    owner = ward.delivered.session.opener()
    assert {record.kind for record in [owner.open(payload) for payload in payloads][1:]} == {SEALED}


# Results of recipients


class Institute:
    """A real run whose output directory is sealed to READER: `frames` are what the Keep has sent."""

    def __init__(self, machine: Machine, place: Path) -> None:
        self.place = place / "results"
        self.package = build(
            reporter(),
            Config(dirs=(Dir(guest="/out", mode="out"),)),
            owners=machine.owners.public,
            salt=bytes(32),
            secrets={},
            base=str(place),
            recipients=(Recipient(key=READER.public, name="Institute"),),
        )
        wire = machine.keep()
        self.verifier = machine.verifier(self.package)
        self.session = machine.deliver(wire, self.package).session
        wire.until_end()
        self.frames = wire.log
        self.kinds = [kind for kind, _ in self.frames]

    def read(self, frames: list[tuple[FrameType, bytes]]) -> int:
        """Read these frames as the recipient, and put the results into place; returns the number of files."""
        reading = Reading(
            READER,
            self.verifier,
            package=self.package.manifest.digest,
            session=self.session.transcript,
            write=lambda kind, data: None,
            unpack=Out(places=(("/out", str(self.place)),)).results,
        )
        try:
            (end,) = [end for end in (reading.take(*frame) for frame in frames) if end is not None]
            assert reading.results is not None
            return sum(directory.files for directory in reading.results.finish(end.final))
        finally:
            if reading.results is not None:
                reading.results.discard()


def test_results_of_a_recipient(machine: Machine, tmp_path: Path) -> None:
    """The recipient gets the directories, and no host can change, drop or move a part; the owner sees only seals."""
    run = Institute(machine, tmp_path)
    at = run.kinds.index(FrameType.FILES)
    _, results = run.frames[at]
    forged: dict[str, list[tuple[FrameType, bytes]]] = {
        "results-lost": [frame for frame in run.frames if frame[0] is not FrameType.FILES],
        "record-kind": [*run.frames[:at], (FrameType.OUTPUT, results), *run.frames[at + 1 :]],
        "record-order": [*run.frames[: at + 1], run.frames[at], *run.frames[at + 1 :]],
        "record-broken": [
            *run.frames[:at],
            (FrameType.FILES, results[:-1] + bytes([results[-1] ^ 1])),
            *run.frames[at + 1 :],
        ],
    }
    for code, frames in forged.items():
        with pytest.raises((DeliveryError, UnavailableError)) as error:
            run.read(frames)
        assert error.value.code == code
        assert list(tmp_path.glob("*results*")) == [], code
    assert run.read(run.frames) == 1
    assert (run.place / "report.txt").read_bytes() == b"all is well\n"

    owner = Attachment(run.session, nonce=ATTACH_NONCE)
    frames = [frame for frame in run.frames if frame[0] in (FrameType.OUTPUT, FrameType.FILES)]
    seen = [owner.receive(*frame) for frame in frames]
    assert owner.output.finished
    assert {(record.kind, record.data) for record in seen[1:] if record is not None} == {(SEALED, b"")}
