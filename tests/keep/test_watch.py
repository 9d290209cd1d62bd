"""The workload's processes as `Watch` reports them. The core is a list of its events; the processes are real."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from enarx.delivery.session import Status
from enarx.formats.wire import encode
from enarx.keep.core.deadlines import Now
from enarx.keep.guest import runner
from enarx.keep.watch import MAX_RESULT, Watch, _end_of
from tests.keep import processes
from tests.keep.processes import Guest, told

PATIENCE = 10.0
BOUND = 64 << 20


class Events:
    """In place of the core: `log` are the events, in order, without the time."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.log.append((name, *(v for v in values if not isinstance(v, Now))))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [values for found, *values in self.log if found == name]  # type: ignore[misc]

    def output(self, descriptor: int, data: bytes) -> None:
        self.log.append(("output", descriptor, data))

    def written(self, descriptor: int) -> bytes:
        return b"".join(data for fd, data in self.of("output") if fd == descriptor)


class Run:
    def __init__(self, handle: runner.Handle) -> None:
        self.handle = handle
        self.core = Events()
        self.watch = Watch(handle, self.core, {}, bound=BOUND, now=lambda: Now(0.0, 0))  # type: ignore[arg-type]

    def until(self, name: str, *, output: bool = True) -> None:
        """Take turns until there is such an event."""
        deadline = time.monotonic() + PATIENCE
        while not self.core.of(name):
            assert time.monotonic() < deadline, self.core.log
            poll = select.poll()
            self.watch.register(poll, output=output)
            self.watch.turn(dict(poll.poll(1000)))

    def end(self) -> tuple[bytes, Status]:
        """Go on to the end; the runner's result, and what `Watch` makes of its end."""
        self.until("ended")
        ((result, otherwise),) = self.core.of("ended")
        return result, otherwise


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    handle = processes.spawn(*getattr(request, "param", ()))
    yield Run(handle)
    processes.close(handle)


def with_guest(*guests: Guest) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("run", [(guest,) for guest in guests], indirect=True)


def test_a_whole_run(run: Run) -> None:
    run.watch.write_stdin(b"over ")
    run.watch.write_stdin(b"and out")
    run.watch.close_stdin()
    result, _ = run.end()
    assert result == encode({"cause": "exit", "code": 7})
    assert (run.core.written(1), run.core.written(2)) == (b"over and out", b"")
    assert [name for name, *_ in run.core.log if name in ("loaded", "ended")] == ["loaded", "ended"]
    assert sum(count for (count,) in run.core.of("stdin_written")) == 12


def test_stdin_that_waits_is_written_as_the_guest_reads(run: Run) -> None:
    data = os.urandom(1 << 20)
    run.watch.write_stdin(data)
    run.watch.close_stdin()
    assert sum(count for (count,) in run.core.of("stdin_written")) < len(data), "the pipe is full"
    run.end()
    assert run.core.written(1) == data
    assert sum(count for (count,) in run.core.of("stdin_written")) == len(data)


def test_stdin_that_the_pipe_has_not_taken_can_be_dropped(run: Run) -> None:
    data = os.urandom(1 << 20)
    run.watch.write_stdin(data)
    taken = sum(count for (count,) in run.core.of("stdin_written"))
    run.watch.drop_stdin()
    run.watch.write_stdin(b"sent again")
    run.watch.close_stdin()
    run.end()
    assert run.core.written(1) == data[:taken] + b"sent again"


def closes_stdin(orders: socket.socket) -> None:
    told(orders)
    os.close(0)
    orders.sendall(runner.LOADED)
    time.sleep(60)


@with_guest(closes_stdin)
def test_a_guest_that_closes_stdin(run: Run) -> None:
    run.until("loaded")
    run.watch.write_stdin(b"unread")
    run.watch.write_stdin(b"dropped")
    run.watch.close_stdin()
    assert run.core.of("stdin_closed") == [[]]
    assert run.core.of("stdin_written") == []
    run.watch.kill()
    run.end()


def writes_and_dies(orders: socket.socket) -> None:
    told(orders)
    os.write(1, b"x" * 60_000)
    os.write(2, b"y" * 60_000)
    os.kill(os.getpid(), signal.SIGTERM)


@with_guest(writes_and_dies)
def test_what_is_left_in_the_pipes_is_read(run: Run) -> None:
    """Also where output was not read while the guest ran, for the host took none."""
    run.until("ended", output=False)
    assert (run.core.written(1), run.core.written(2)) == (b"x" * 60_000, b"y" * 60_000)
    assert run.core.of("ended") == [[b"", Status(cause="failed", message="the guest's process was ended by SIGTERM")]]
    assert run.core.log[-1][0] == "ended"


def keeps_pipes_open(orders: socket.socket) -> None:
    told(orders)
    if os.fork():
        os.write(1, b"last words")
        os._exit(0)
    time.sleep(5)
    os._exit(0)


@with_guest(keeps_pipes_open)
def test_the_process_ends_the_run_and_not_its_descriptors(run: Run) -> None:
    start = time.monotonic()
    _, otherwise = run.end()
    assert time.monotonic() - start < 4
    assert run.core.written(1) == b"last words"
    assert otherwise.message == "the runner gave no result: a fault of the Keep"


def says_too_much(orders: socket.socket) -> None:
    told(orders)
    orders.sendall(runner.LOADED)
    try:
        while True:
            orders.sendall(bytes(1 << 16))
    except OSError:
        os._exit(0)


@with_guest(says_too_much)
def test_a_result_without_end_is_cut(run: Run) -> None:
    run.until("loaded")
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        poll = select.poll()
        run.watch.register(poll, output=True)
        run.watch.turn(dict(poll.poll(100)))
    run.watch.kill()
    result, _ = run.end()
    assert len(result) == MAX_RESULT


def test_a_runner_that_has_ended_before_its_order() -> None:
    handle = processes.spawn(lambda orders: os._exit(3))
    handle.child.reap(seconds=PATIENCE)
    run = Run(handle)
    assert run.end()[1].cause == "failed"
    processes.close(handle)


def no_code(orders: socket.socket) -> None:
    told(orders)
    orders.sendall(encode({"cause": "failed", "message": runner.NO_CODE}))


def fails(source: socket.socket) -> None:
    os._exit(9)


@pytest.mark.parametrize("run", [(no_code, fails)], indirect=True)
def test_why_there_is_no_code_is_seen_at_the_compiler(run: Run) -> None:
    run.end()
    reason = run.handle.compilation.failure()
    assert reason.startswith("the compiler ")
    assert run.core.of("compile_failed") == [[reason]]


@pytest.mark.parametrize("run", [(processes.echo, fails)], indirect=True)
def test_a_compilers_end_is_of_no_account_once_the_code_is_there(run: Run) -> None:
    run.until("loaded")
    run.watch.close_stdin()
    run.end()
    assert run.core.of("compile_failed") == []


def test_the_compiler_is_killed_once_the_code_is_there() -> None:
    handle = processes.spawn(processes.echo, lambda source: time.sleep(60))
    run = Run(handle)
    run.until("loaded")
    assert handle.compilation.child.reap(seconds=PATIENCE)
    assert os.WTERMSIG(handle.compilation.child.status or 0) == signal.SIGKILL
    processes.close(handle)


@pytest.mark.parametrize(
    ("status", "cause", "message"),
    [
        (signal.SIGKILL, "memory", "its process was killed, most likely at the Keep's bound of 64 MiB"),
        (signal.SIGSEGV, "failed", "the guest's process was ended by SIGSEGV"),
        (0, "failed", "the runner gave no result"),
        (3 << 8, "failed", "the runner gave no result"),
    ],
)
def test_ends_without_a_result(status: int, cause: str, message: str) -> None:
    end = _end_of(status, BOUND)
    assert end.cause == cause
    assert end.message.startswith(message)


# --- results -----------------------------------------------------------------------------------------------------------


def with_collector(*collectors: processes.Collector) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "run", [(processes.echo, processes.compiles, each) for each in collectors], indirect=True
    )


def reports(run: Run) -> list[bytes]:
    return [report for (report,) in run.core.of("collected")]


def collect(run: Run) -> tuple[bytes, list[bytes]]:
    """End the guest and have results collected; the stream, and the reports."""
    run.watch.close_stdin()
    run.end()
    run.watch.collect(((0, "/out"),), 100)
    run.until("collected")
    return b"".join(data for (data,) in run.core.of("files")), reports(run)


def test_the_collectors_stream_and_report_are_passed_on(run: Run) -> None:
    assert collect(run) == (bytes(4), [encode([b"d" * 32])])
    assert len(run.core.of("ended")) == 1


def _sends_much(link: socket.socket, stream: int) -> None:
    assert link.recv(1 << 16)
    rest = memoryview(bytes(10 << 20))
    while rest:
        rest = rest[os.write(stream, rest) :]
    link.send(b"report")


def _ends_at_once(link: socket.socket, stream: int) -> None:
    return


def _ends_without_a_report(link: socket.socket, stream: int) -> None:
    assert link.recv(1 << 16)
    os.write(stream, b"some")


def _hangs(link: socket.socket, stream: int) -> None:
    signal.pause()


@with_collector(_sends_much)
def test_more_than_a_pipe_holds(run: Run) -> None:
    stream, told = collect(run)
    assert (len(stream), told) == (10 << 20, [b"report"])


@with_collector(_ends_at_once)
def test_a_collector_that_has_ended_before(run: Run) -> None:
    run.handle.collection.child.reap(seconds=PATIENCE)
    assert collect(run) == (b"", [b""])


@with_collector(_ends_without_a_report)
def test_a_collector_without_a_report(run: Run) -> None:
    assert collect(run) == (b"some", [b""])


@with_collector(_hangs)
def test_a_kill_after_the_guest_is_one_of_the_collector(run: Run) -> None:
    run.watch.close_stdin()
    run.end()
    run.watch.collect(((0, "/out"),), 100)
    run.watch.kill()
    run.until("collected", output=False)
    assert reports(run) == [b""]


def test_a_kill_of_the_guest_leaves_the_collector(run: Run) -> None:
    run.watch.kill()
    run.end()
    run.watch.collect(((0, "/out"),), 100)
    run.until("collected")
    assert reports(run) == [encode([b"d" * 32])]
