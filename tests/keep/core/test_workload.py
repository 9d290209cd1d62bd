"""The core in a session: attachments, stdin, output, limits, and how a workload ends."""

from __future__ import annotations

from typing import Any

import pytest

from enarx.delivery.output import FILES
from enarx.delivery.session import STDERR, STDIN, STDIN_END, STDIN_WINDOW, STDOUT, STOP, Status
from enarx.delivery.tenant import Attachment
from enarx.errors import DeliveryError, ParseError
from enarx.formats import bounds
from enarx.formats.config import Config, Dir
from enarx.formats.wire import FrameType, encode, frame
from enarx.keep.core.actions import CloseStdin, Collect, Done, DropStdin, Kill, WriteStdin
from enarx.keep.core.deadlines import COLLECT, COLLECT_RATE, GRACE
from enarx.keep.core.workload import ACK_EVERY, COLLECTED, NO_RESULTS
from enarx.record import replace
from tests.exchange import CONFIG, NOW, WASM
from tests.keep.core.driver import VANISHED
from tests.keep.core.pair import Manual, Pair


class Job:
    """A session with an attachment, and a workload that does what the test reports."""

    def __init__(self, config: Config = CONFIG) -> None:
        self.pair = Pair(config=config, keep=Manual)
        self.attachment = self.pair.attach()
        self.core = self.pair.keep.core
        self.begun = len(self.pair.keep.actions)

    def actions(self, *kinds: type[Any]) -> list[Any]:
        """Perform what is due; all actions of these kinds since the attachment."""
        self.pair.keep.act()
        return [a for a in self.pair.keep.actions[self.begun :] if type(a) in kinds]

    def send(self, kind: int, offset: int = 0, data: bytes = b"") -> None:
        self.pair.keep.receive(self.attachment.send(kind, offset, data))

    def outputs(self) -> list[tuple[int, bytes]]:
        """What the tenant reads of stdout and stderr."""
        self.pair.keep.act()
        records = self.pair.read(self.attachment)
        return [(record.kind, record.data) for record in records if record.kind in (STDOUT, STDERR)]

    def end(self, result: bytes = b"", otherwise: Status = VANISHED) -> Status:
        """Report the workload's end; the status that the tenant reads."""
        self.core.ended(result, otherwise, self.pair.clock())
        self.pair.keep.act()
        assert self.pair.state == "ended"
        assert self.actions(Done) == [Done()]
        status = self.pair.read(self.attachment)[-1].status
        assert status is not None
        return status

    def at(self, seconds: float) -> None:
        self.pair.clock.seconds += seconds
        self.pair.keep.tick()


def limited(**limits: Any) -> Config:
    return CONFIG.replace(limits=replace(CONFIG.limits, **limits))


def files(text: str) -> Config:
    return CONFIG.replace(files=Config.from_toml(text).files)


# --- attachments -------------------------------------------------------------------------------------------------------


def test_an_attachment_is_told_where_it_stands() -> None:
    job = Job()
    assert (job.attachment.stdin, job.attachment.stdin_open, job.attachment.records) == (0, True, 1)


def test_a_newer_attachment_ends_the_older() -> None:
    job = Job()
    newer = Attachment(job.pair.session, nonce=b"\7" * 32, output=job.attachment.output)
    job.pair.keep.receive(newer.attach())
    job.pair.read(newer)
    job.send(STDIN, 0, b"of the older")
    assert job.actions(WriteStdin) == []
    job.pair.keep.receive(newer.send(STDIN, 0, b"of the newer"))
    assert job.actions(WriteStdin) == [WriteStdin(b"of the newer")]


@pytest.mark.parametrize(
    "junk",
    [frame(FrameType.INPUT, bytes(40)), frame(FrameType.ATTACH, b"\0"), frame(FrameType.CHUNK, b""), b"\0\0\0\1\x4d"],
    ids=["input", "attach", "chunk", "no type"],
)
def test_junk_ends_the_attachment_and_not_the_job(junk: bytes) -> None:
    job = Job()
    if junk == frame(FrameType.INPUT, bytes(40)):
        junk = frame(FrameType.INPUT, bytes(3) + b"\1" + bytes(40))
    job.pair.keep.receive(junk)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "attachment-broken"):
        job.pair.read(job.attachment)
    job.send(STDIN, 0, b"dropped")
    assert job.actions(WriteStdin, Kill, Done) == []
    assert job.pair.state == "session"
    again = Attachment(job.pair.session, nonce=b"\7" * 32, output=job.attachment.output)
    job.pair.keep.receive(again.attach())
    job.pair.read(again)
    assert again.stdin == 0


def test_junk_without_an_attachment_is_not_answered() -> None:
    pair = Pair(keep=Manual)
    pair.deliver()
    pair.keep.core.malformed(ParseError("frame-type", "junk", what="frame"), pair.clock())
    pair.keep.act()
    assert (pair.sent(), pair.state) == ([], "session")


# --- stdin -------------------------------------------------------------------------------------------------------------


def test_stdin_is_given_in_order_and_closed_after_it() -> None:
    job = Job()
    job.send(STDIN, 0, b"one")
    job.send(STDIN_END, 3, b"two")
    assert job.actions(WriteStdin, CloseStdin) == [WriteStdin(b"one"), WriteStdin(b"two"), CloseStdin()]


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_stdin_at_another_offset_is_refused(offset: int) -> None:
    job = Job()
    job.send(STDIN, 0, b"one")
    job.send(STDIN, offset, b"two")
    assert job.actions(WriteStdin) == [WriteStdin(b"one")]
    with pytest.raises(DeliveryError, check=lambda e: e.code == "attachment-broken"):
        job.pair.read(job.attachment)


def reattached(job: Job) -> Attachment:
    again = Attachment(job.pair.session, nonce=b"\7" * 32, output=job.attachment.output)
    job.pair.keep.receive(again.attach())
    job.pair.read(again)
    return again


def test_a_new_attachment_sends_again_what_was_not_taken() -> None:
    job = Job()
    job.send(STDIN, 0, b"taken, untaken")
    job.actions()
    job.core.stdin_written(7)
    again = reattached(job)
    assert (again.stdin, again.stdin_open) == (7, True)
    job.pair.keep.receive(again.send(STDIN, 7, b"untaken"))
    wanted = [WriteStdin(b"taken, untaken"), DropStdin(), WriteStdin(b"untaken")]
    assert job.actions(WriteStdin, DropStdin) == wanted


def test_stdin_that_has_ended_is_kept_for_the_workload() -> None:
    job = Job()
    job.send(STDIN_END, 0, b"all of it")
    again = reattached(job)
    assert (again.stdin, again.stdin_open) == (0, False)
    assert job.actions(DropStdin) == []


def test_stdin_after_its_end_is_refused() -> None:
    job = Job()
    job.send(STDIN_END)
    job.send(STDIN, 0, b"more")
    assert job.actions(WriteStdin, CloseStdin) == [CloseStdin()]


def test_a_record_of_no_known_kind_is_refused() -> None:
    job = Job()
    job.send(99)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "attachment-broken"):
        job.pair.read(job.attachment)


def test_the_window() -> None:
    """STDIN_WINDOW bytes ahead of what was written, and not one more."""
    job, size = Job(), STDIN_WINDOW // 16
    for i in range(16):
        job.send(STDIN, i * size, bytes(size))
    assert sum(len(a.data) for a in job.actions(WriteStdin)) == STDIN_WINDOW
    job.core.stdin_written(1)
    job.send(STDIN, STDIN_WINDOW, b"x")
    assert job.actions(WriteStdin)[-1] == WriteStdin(b"x")
    job.send(STDIN, STDIN_WINDOW + 1, b"y")
    assert job.actions(WriteStdin)[-1] == WriteStdin(b"x")


def test_acknowledgements() -> None:
    """For each ACK_EVERY bytes, and once nothing is left to be written."""
    job, told = Job(), []
    job.send(STDIN, 0, bytes(ACK_EVERY + 1000))
    for count in (1000, ACK_EVERY - 1001, 1, 999):
        job.core.stdin_written(count)
        job.pair.keep.act()
        job.pair.read(job.attachment)
        told.append(job.attachment.stdin)
    assert told == [0, 0, ACK_EVERY, ACK_EVERY]
    job.core.stdin_written(1)
    job.pair.keep.act()
    job.pair.read(job.attachment)
    assert job.attachment.stdin == ACK_EVERY + 1000


def test_stdin_that_the_workload_has_closed_counts_as_taken() -> None:
    job = Job()
    job.send(STDIN, 0, b"unread")
    job.core.stdin_closed()
    job.send(STDIN, 6, b"dropped")
    assert job.actions(WriteStdin) == [WriteStdin(b"unread")]
    job.pair.read(job.attachment)
    assert (job.attachment.stdin, job.attachment.stdin_open) == (13, False)
    job.send(STDIN_END, 13)
    assert job.actions(CloseStdin) == []


def test_no_stdin() -> None:
    job = Job(files('[[files]]\nkind = "null"\n'))
    assert job.pair.keep.of(CloseStdin) == [CloseStdin()]
    assert not job.attachment.stdin_open
    job.send(STDIN_END, 0, b"dropped")
    assert job.actions(WriteStdin, CloseStdin) == []
    job.pair.read(job.attachment)
    assert job.attachment.stdin == 7


# --- output ------------------------------------------------------------------------------------------------------------


def test_output() -> None:
    job = Job()
    job.core.output(1, b"out")
    job.core.output(2, b"err")
    assert job.outputs() == [(STDOUT, b"out"), (STDERR, b"err")]


def test_descriptors_are_what_the_configuration_says() -> None:
    job = Job(files('[[files]]\nkind = "stdin"\n[[files]]\nkind = "stderr"\n[[files]]\nkind = "null"\n'))
    job.core.output(1, b"to stderr")
    job.core.output(2, b"discarded")
    assert job.outputs() == [(STDERR, b"to stderr")]
    status = job.end()
    assert (status.stdout, status.stderr) == (0, 9)


def test_output_over_its_limit_is_cut_and_ends_the_run() -> None:
    job = Job(limited(output=10))
    job.core.output(1, b"12345678")
    job.core.output(2, b"90")
    assert job.actions(Kill) == []
    job.core.output(2, b"more")
    job.core.output(1, b"more")
    assert job.actions(Kill) == [Kill("output")]
    assert job.outputs() == [(STDOUT, b"12345678"), (STDERR, b"90")]
    status = job.end(encode({"cause": "exit", "code": 0}))
    assert (status.cause, status.message, status.stdout) == ("output", "more than 10 bytes of output", 8)


# --- limits and ends ---------------------------------------------------------------------------------------------------


def test_the_time_limit_counts_from_the_code_being_there() -> None:
    job = Job(limited(time=2.0))
    job.at(50)
    job.core.loaded(job.pair.clock())
    job.core.loaded(job.pair.clock())
    job.at(2 + GRACE - 0.01)
    assert job.actions(Kill) == []
    job.at(0.02)
    assert job.actions(Kill) == [Kill("time")]
    assert job.core.deadline is None
    job.at(1)
    status = job.end()
    assert (status.cause, job.actions(Kill)) == ("time", [Kill("time")])
    assert status.milliseconds == 3260
    assert status.time == NOW + 53


def test_no_time_limit() -> None:
    job = Job()
    job.core.loaded(job.pair.clock())
    assert job.core.deadline is None
    job.at(1e6)
    assert job.actions(Kill) == []


def test_the_compilers_deadline() -> None:
    job, seconds = Job(), bounds.WALL_FACTOR * bounds.compile_seconds(len(WASM))
    job.at(seconds - 1)
    assert job.actions(Kill) == []
    job.at(1)
    assert job.actions(Kill) == [Kill("failed")]
    assert job.end().message == f"the compiler took more than {seconds} s"


def test_code_that_comes_while_a_run_is_being_ended_begins_no_deadline() -> None:
    job = Job(limited(time=2.0))
    job.send(STOP)
    job.core.loaded(job.pair.clock())
    assert job.core.deadline is None


def test_a_stop_is_carried_out_once() -> None:
    job = Job()
    job.send(STOP)
    job.send(STOP)
    assert job.actions(Kill) == [Kill("stopped")]
    assert job.end(encode({"cause": "exit", "code": 0})).cause == "stopped"


def test_what_the_workloads_side_says() -> None:
    fields = {"cause": "trap", "message": "m", "backtrace": "b", "memory": 65536, "milliseconds": 10**9, "stdout": 9}
    job = Job()
    status = job.end(encode(fields))
    assert status == Status(cause="trap", message="m", backtrace="b", memory=65536, time=NOW)


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b"\xff",
        encode(7),
        encode("cause"),
        encode(["cause"]),
        encode({"code": 1}),
        encode({"cause": "praised"}),
        encode({"cause": "exit", "code": 256}),
        encode({"cause": "exit", "code": "0"}),
        *(encode({"cause": cause}) for cause in ("output", "stopped", "refused")),
    ],
)
def test_what_the_workloads_side_is_not_believed(result: bytes) -> None:
    assert Job().end(result).message == VANISHED.message


def test_a_compiler_that_fails_is_the_reason() -> None:
    job = Job()
    job.core.compile_failed("out of memory")
    assert job.end(encode({"cause": "exit", "code": 0})).message == "out of memory"
    stopped = Job()
    stopped.send(STOP)
    stopped.core.compile_failed("killed")
    assert stopped.end().cause == "stopped"


def test_the_time_of_the_end_is_not_before_the_deliverys() -> None:
    job = Job()
    job.pair.clock.behind = 500
    assert job.end().time == NOW


def test_events_of_a_workload_that_is_not_there_change_nothing() -> None:
    pair = Pair()
    core = pair.keep.core
    core.loaded(pair.clock())
    core.output(1, b"x")
    core.stdin_written(1)
    core.stdin_closed()
    core.compile_failed("m")
    core.ended(b"", VANISHED, pair.clock())
    pair.keep.act()
    assert (pair.keep.actions, pair.state) == ([], "fresh")


# --- results -----------------------------------------------------------------------------------------------------------

OUT = CONFIG.replace(dirs=(Dir(guest="/data", mode="out"),))
EXITED = encode({"cause": "exit", "code": 3})
DIGEST = b"d" * 32
REPORT = COLLECTED + DIGEST


class Collecting(Job):
    """A job whose workload has ended, and whose output directory is being collected."""

    def __init__(self, config: Config = OUT, result: bytes = EXITED) -> None:
        super().__init__(config)
        self.core.loaded(self.pair.clock())
        self.core.ended(result, VANISHED, self.pair.clock())

    def close(self, report: bytes = REPORT) -> tuple[Status, dict[str, bytes], bytes]:
        """Report the collector's end; the status, the digests, and the stream of results that the tenant reads."""
        self.core.collected(report, self.pair.clock())
        assert self.actions(Done) == [Done()]
        *records, last = self.pair.read(self.attachment)
        assert last.final is not None
        data = b"".join(record.data for record in records if record.kind == FILES)
        return last.final.status, dict(last.final.directories), data


def test_results_are_collected_once_the_workload_is_dead() -> None:
    job = Collecting()
    assert job.actions(Collect, Done) == [Collect(((0, "/data"),), bounds.results_size(OUT.limits.disk))]
    job.core.files(b"some ")
    job.core.files(b"files")
    job.at(2)
    status, directories, data = job.close()
    assert (status.cause, status.code, status.milliseconds) == ("exit", 3, 0)  # collecting is not a part of the run
    assert (directories, data) == ({"/data": DIGEST}, b"some files")


@pytest.mark.parametrize("result", [encode({"cause": "trap", "message": "m"}), encode({"cause": "time"}), b""])
def test_results_are_collected_however_it_ends(result: bytes) -> None:
    status, directories, _ = Collecting(result=result).close()
    assert status.cause in ("trap", "time", "failed")
    assert directories == {"/data": DIGEST}


def test_a_workload_that_never_ran_has_no_results() -> None:
    job = Job(OUT)
    assert job.end(encode({"cause": "failed"})).cause == "failed"
    assert job.actions(Collect) == []


def test_without_output_directories_nothing_is_collected() -> None:
    job = Job()
    job.core.loaded(job.pair.clock())
    assert job.end(EXITED).code == 3
    assert job.actions(Collect) == []


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (b"the results in /data cannot be returned: x", "the results in /data cannot be returned: x"),
        (b"", NO_RESULTS),
        (b"\xff", "\ufffd"),
        (COLLECTED, NO_RESULTS),
        (COLLECTED + DIGEST[1:], NO_RESULTS),
        (COLLECTED + DIGEST + b"d", NO_RESULTS),
        (COLLECTED + DIGEST + DIGEST, NO_RESULTS),
        (b"\1" + DIGEST, "\1" + DIGEST.decode()),
    ],
)
def test_results_that_cannot_be_collected(report: bytes, message: str) -> None:
    job = Collecting()
    status, directories, _ = job.close(report)
    assert (status.cause, status.message, status.code, directories) == ("output", message, 0, {})


def test_the_owner_may_stop_it_while_results_are_collected() -> None:
    job = Collecting()
    job.send(STOP)
    assert job.actions(Kill) == [Kill("stopped")]
    job.core.files(b"late")
    status, directories, _ = job.close()
    assert (status.cause, directories) == ("stopped", {})


def test_the_collectors_deadline() -> None:
    job = Collecting()
    most = COLLECT + bounds.results_size(OUT.limits.disk) / COLLECT_RATE
    job.core.held(1000.0)
    job.at(1000 + most - 0.1)
    assert job.actions(Kill) == []
    job.at(0.1)
    assert job.actions(Kill) == [Kill("output")]
    assert job.close(b"")[0].message == "the output directories could not be collected in time"


def test_time_that_the_host_takes_is_not_given_to_a_workload() -> None:
    job = Job(limited(time=1.0))
    job.core.loaded(job.pair.clock())
    job.core.held(1000.0)
    job.at(1 + GRACE)
    assert job.actions(Kill) == [Kill("time")]


def test_stdin_and_attachments_go_on_meanwhile() -> None:
    job = Collecting()
    job.send(STDIN, 0, b"late")
    job.core.stdin_closed()
    assert reattached(job).stdin == 4
    assert job.pair.state == "session"


def test_a_driver_that_cannot_collect() -> None:
    job = Collecting()
    job.core.failed(DeliveryError("run", "this Keep cannot run the workload", state="session"), job.pair.clock())
    job.pair.keep.act()
    last = job.pair.read(job.attachment)[-1].final
    assert last is not None
    assert (last.status.cause, last.directories) == ("failed", ())
