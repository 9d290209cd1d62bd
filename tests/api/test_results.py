"""Results as files from Python: `out` of run, deploy and attach, for both APIs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import enarx
from tests.e2e.harness import Daemon
from tests.wat import entry, maker, reporter


def test_run(home: Path) -> None:
    with enarx.run(reporter(), simulate=True, out={"/out": home / "r"}) as job:
        (directory,) = job.wait().directories
    assert (directory.guest, directory.files, directory.bytes, directory.path) == ("/out", 1, 12, f"{home}/r")
    assert (home / "r" / "report.txt").read_text() == "all is well\n"


def test_usage_is_checked_first(home: Path) -> None:
    config = enarx.Config(dirs=(enarx.Dir(guest="/out", mode="out"),))
    for out, code in ((None, "out-missing"), ({"/out": 3}, "argument"), ({"/out": home / "no" / "r"}, "out-write")):
        with pytest.raises(enarx.UsageError) as e:
            enarx.run(reporter(), simulate=True, config=config, out=out)  # type: ignore[arg-type]
        assert e.value.code == code


def test_results_that_cannot_be_put_into_place(home: Path) -> None:
    with enarx.run(maker(), simulate=True, stdin=entry("w", "a") + entry("w", "A"), out={"/out": home / "r"}) as job:
        with pytest.raises(enarx.DeliveryError) as e:
            job.wait()
        assert e.value.code == "results-name"
        assert job.result is not None
        assert job.result.exit_code == 0
    assert not (home / "r").exists()


def test_a_job_that_was_left(home: Path, daemon: Daemon) -> None:
    keep = enarx.deploy(reporter(), simulated_root=daemon.root, host=daemon.url, detach=True, out={"/out": "r"}).keep

    async def fetch() -> None:
        async with enarx.aio.attach(keep, out={"/out": home / "r"}) as job:
            (directory,) = (await job.wait()).directories
            assert directory.path == f"{home}/r"

    asyncio.run(fetch())
    assert (home / "r" / "report.txt").read_text() == "all is well\n"
    result = enarx.logs(keep, out={"/out": home / "r"}, replace=True).result
    assert result is not None
    assert result.directories[0].files == 1
    with enarx.attach(keep) as job:
        assert job.wait().directories[0].path == ""
        job.remove()
