"""`enarx.aio`: the same jobs for asyncio; above all that a cancelled one leaves nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import enarx
from enarx import aio
from tests.e2e.harness import Daemon

Wasm = Callable[[str], Path]
pytestmark = pytest.mark.usefixtures("nothing_left")


def test_lines_and_result(wasm: Wasm) -> None:
    async def main() -> None:
        async with aio.run(wasm("cat"), simulate=True, stdin=b"a\nb\nc") as job:
            assert await job.stdout.readline() == b"a\n"
            assert [line async for line in job.stdout] == [b"b\n", b"c"]
            result = await job.wait()
            assert (result.exit_code, result.stdout) == (0, b"")
            assert job.result is result

    asyncio.run(main())


def test_what_was_read_ahead_is_in_the_result(wasm: Wasm) -> None:
    async def main() -> None:
        async with aio.run(wasm("cat"), simulate=True, stdin=b"first\nsecond\nthird") as job:
            assert await job.stdout.readline() == b"first\n"
            assert (await job.wait()).stdout == b"second\nthird"
        async with aio.run(wasm("both"), simulate=True) as job:
            assert (await job.stderr.read(), await job.stdout.read(2)) == (b"err\n", b"ou")

    asyncio.run(main())


def test_two_at_once_and_no_thread_waits(wasm: Wasm) -> None:
    async def one(number: int) -> bytes:
        async with aio.run(wasm("cat"), simulate=True, stdin=b"%d" % number) as job:
            return (await job.wait()).stdout

    async def main() -> list[bytes]:
        return await asyncio.gather(*map(one, range(3)))

    assert asyncio.run(main()) == [b"0", b"1", b"2"]


def test_a_wait_is_cancelled_at_once_and_the_job_goes_on(wasm: Wasm) -> None:
    async def main() -> None:
        async with aio.run(wasm("sleep"), simulate=True) as job:
            before = threading.active_count()
            for _ in range(20):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(job.wait(), 0.01)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(job.stdout.readline(), 0.01)
            assert threading.active_count() <= before
            assert job._job.output._readers == 0
            assert (await job.stop()).termination == "stopped"

    asyncio.run(main())


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_a_cancelled_start_leaves_nothing(wasm: Wasm, nothing_left: Callable[[], None], moment: float) -> None:
    async def job() -> None:
        async with aio.run(wasm("sleep"), simulate=True) as started:
            await started.wait()

    async def main() -> None:
        task = asyncio.create_task(job())
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    nothing_left()


def test_an_exception_leaves_nothing(wasm: Wasm, nothing_left: Callable[[], None]) -> None:
    async def main() -> None:
        async with aio.run(wasm("sleep"), simulate=True):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())
    nothing_left()


@pytest.mark.parametrize("moment", [0.05, 0.2, 1.0])
def test_a_cancelled_deployment_leaves_no_keep(wasm: Wasm, daemon: Daemon, moment: float) -> None:
    async def job() -> None:
        async with aio.deploy(wasm("sleep"), host=daemon.url, simulated_root=daemon.root) as started:
            await started.wait()

    async def main() -> None:
        task = asyncio.create_task(job())
        await asyncio.sleep(moment)
        task.cancel()
        task.cancel()  # as a time limit within another does
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert daemon.keeps() == {}


def test_detached_and_attached(wasm: Wasm, daemon: Daemon) -> None:
    async def main() -> None:
        async with aio.deploy(wasm("slow"), host=daemon.url, simulated_root=daemon.root) as job:
            keep = await job.detach()
        assert (await aio.logs(keep)).result is None or daemon.keeps()[keep] == "ended"
        async with aio.attach(keep) as again:
            assert (await again.wait()).stdout == b"tick\n" * 10
            await again.remove()

    asyncio.run(main())
    assert daemon.keeps() == {}


def test_errors_come_through(wasm: Wasm) -> None:
    async def main() -> None:
        with pytest.raises(enarx.BackendError):
            async with aio.run(wasm("hello")):
                pass
        with pytest.raises(enarx.UsageError):
            async with aio.run(b"no module", simulate=True):
                pass

    asyncio.run(main())
