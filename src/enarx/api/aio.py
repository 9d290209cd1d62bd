"""The Python API for asyncio: the functions of `enarx` as asynchronous context managers, over the same core.

    async with enarx.aio.run("hello.wasm", simulate=True) as job:
        async for line in job.stdout:
            print(line)
        result = await job.wait()

Each job has its own threads that talk to its Keep. Coroutines only wait for their events, so waiting and reading take no thread
and can be cancelled at once. Starting, stopping, detaching and closing block, and run in a thread. A task that is cancelled
there aborts a start, and waits until the thread has finished: when `async with` raises CancelledError, no Keep is left behind.
A host that does not answer delays that by at most 30 s.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import ParamSpec, Self, TypeVar

from enarx.api import describe, jobs, keeps
from enarx.api.jobs import Result
from enarx.api.keeps import Logs
from enarx.api.start import Start
from enarx.api.workloads import Path
from enarx.delivery.session import STDERR, STDOUT
from enarx.record import replace
from enarx.tenant.connection import Endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Job", "Result", "attach", "deploy", "logs", "run"]

P = ParamSpec("P")
T = TypeVar("T")
PIECE = 64 << 10


class Job:
    """A workload in a Keep, for asyncio: the attributes of `enarx.Job`, and its methods as coroutines."""

    def __init__(self, job: jobs.Job) -> None:
        self._job = job
        self.keep = job.keep
        self.package = job.package
        self.attestation = job.attestation
        self.session_file = job.session_file
        self.stdout = Stream(job, STDOUT)
        self.stderr = Stream(job, STDERR)
        self._whole: Result | None = None

    def __repr__(self) -> str:
        return repr(self._job)

    @property
    def result(self) -> Result | None:
        """Like `enarx.Job`: None until the end."""
        return self._whole or self._job.result

    async def wait(self) -> Result:
        """Like `enarx.Job`. Use `asyncio.timeout` for a time limit: the job goes on."""
        await _until(self._job, lambda: self._job.output.ended)
        result = self._job.wait()
        if self._whole is None:
            stdout, stderr = (
                await self.stdout.read(),
                await self.stderr.read(),
            )  # includes bytes that were read ahead for a line
            self._whole = replace(result, stdout=stdout + result.stdout, stderr=stderr + result.stderr)
        return self._whole

    async def stop(self) -> Result:
        """Like `enarx.Job.stop`: returns the proven end."""
        return await _to_end(self._job.stop, lambda: None)

    async def detach(self, *, close_stdin: bool = True) -> str:
        """Like `enarx.Job.detach`: returns the Keep's id."""
        return await _to_end(lambda: self._job.detach(close_stdin=close_stdin), lambda: None)

    async def remove(self) -> None:
        """Like `enarx.Job.remove`: ends and removes it."""
        await _to_end(self._job.remove, lambda: None)

    async def close(self) -> None:
        """Like `enarx.Job.close`; leaving the block calls it."""
        await _to_end(self._job.close, lambda: None)


class Stream:
    """A stream of output; `async for` gives its lines. Raises at its end what `Job.wait` raises."""

    def __init__(self, job: jobs.Job, kind: int) -> None:
        self._job = job
        self._kind = kind
        self._ahead = bytearray()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def readline(self) -> bytes:
        """The next line with its newline; the last line may lack it. Empty at the end."""
        start = 0
        while (at := self._ahead.find(b"\n", start)) < 0:
            start = len(self._ahead)
            more = await self._more()
            if not more:
                break
            self._ahead += more
        size = len(self._ahead) if at < 0 else at + 1
        line = bytes(self._ahead[:size])
        del self._ahead[:size]
        return line

    async def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, as soon as some are available; by default all until the end. Empty at the end."""
        while size < 0 or not self._ahead:
            more = await self._more()
            if not more:
                break
            self._ahead += more
        data = bytes(self._ahead if size < 0 else self._ahead[:size])
        del self._ahead[: len(data)]
        return data

    async def _more(self) -> bytes:
        output = self._job.output
        await _until(self._job, lambda: output.ready(self._kind))
        piece = memoryview(bytearray(PIECE))
        return bytes(piece[: output.read_into(self._kind, piece)])


class Starting:
    """A job to be started by `async with`; leaving the block closes it."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._job: jobs.Job | None = None

    async def __aenter__(self) -> Job:
        self._job = await _to_end(self._start.start, self._start.abort, jobs.Job.close)
        return Job(self._job)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._job is not None:
            await _to_end(self._job.close, lambda: None)


async def logs(
    keep: str,
    *,
    host: str | Endpoint = "",
    token_file: Path = "",
    out: Mapping[str, Path] | None = None,
    replace: bool = False,
) -> Logs:
    """Like `enarx.logs`: the output so far."""
    return await asyncio.to_thread(keeps.logs, keep, host=host, token_file=token_file, out=out, replace=replace)


def _async(description: Callable[P, Start]) -> Callable[P, Starting]:
    @functools.wraps(description)
    def prepare(*args: P.args, **kwargs: P.kwargs) -> Starting:
        return Starting(description(*args, **kwargs))

    return prepare


async def _until(job: jobs.Job, condition: Callable[[], bool]) -> None:
    """Wait, without a thread, until the writer of the output has made a condition true."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    with job.output.listener(lambda: loop.call_soon_threadsafe(changed.set)):
        while not condition():
            await changed.wait()
            changed.clear()


async def _to_end(function: Callable[[], T], give_up: Callable[[], None], undo: Callable[[T], None] | None = None) -> T:
    """Run a blocking function in a thread, and return its result. CancelledError is raised only after the thread has ended.

    On cancellation, `give_up` makes the thread end soon. If the function returns nevertheless, `undo` gets its result.
    """
    thread = asyncio.ensure_future(asyncio.to_thread(function))
    cancelled: asyncio.CancelledError | None = None
    while not thread.done():
        try:
            await asyncio.wait([thread])
        except asyncio.CancelledError as e:
            cancelled = e
            give_up()
    if cancelled is None:
        return thread.result()
    if thread.exception() is None and undo is not None:
        await _to_end(functools.partial(undo, thread.result()), lambda: None)
    raise cancelled


run = _async(describe.run)
deploy = _async(describe.deploy)
attach = _async(describe.attach)
