from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

import pytest

from enarx.keep.children import PREFER, Child, Score, fork


def fail() -> None:
    raise ValueError("no word of this may get out")


def test_work_that_ends_well() -> None:
    child = fork(lambda: None)
    assert child.reap(wait=True)
    assert child.status == 0


def test_work_that_raises_ends_with_1_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    child = fork(fail)
    assert child.reap(wait=True)
    assert os.waitstatus_to_exitcode(child.status or 0) == 1
    assert capfd.readouterr() == ("", "")


def test_it_is_seen_to_run_and_to_end() -> None:
    reader, writer = os.pipe()
    child = fork(lambda: os.close(writer) or bool(os.read(reader, 1)))  # type: ignore[func-returns-value]
    os.close(reader)
    assert not child.reap()
    assert child.status is None
    assert select.select([child], [], [], 0)[0] == []
    os.write(writer, b"x")
    assert select.select([child], [], [], 20)[0] == [child]
    assert child.reap()
    assert child.status == 0
    os.close(writer)


def test_waiting_has_a_limit() -> None:
    child = fork(lambda: time.sleep(100))
    start = time.monotonic()
    assert not child.reap(seconds=0.1)
    assert 0.1 <= time.monotonic() - start < 10
    child.kill()
    assert child.reap(seconds=20)
    assert child.status == signal.SIGKILL


def test_the_peak_of_its_memory_in_bytes() -> None:
    child = fork(lambda: bytearray(b"x") * (64 << 20) and None)
    child.reap(wait=True)
    assert 64 << 20 <= child.peak < 4 << 30


def test_after_its_end_nobody_else_is_killed() -> None:
    child = fork(lambda: None)
    child.reap(wait=True)
    child.kill()
    assert child.reap(wait=True)
    assert child.status == 0


def test_no_descriptor_is_left() -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(10):
        Child(fork(lambda: None).pid).reap(wait=True)
    del before
    count = len(os.listdir("/proc/self/fd"))
    fork(lambda: None).reap(wait=True)
    assert len(os.listdir("/proc/self/fd")) == count


def test_the_score_is_raised_for_as_long_as_it_forks() -> None:
    own = Path("/proc/self/oom_score_adj")
    before = own.read_bytes()
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    with Score(proc):
        child = fork(lambda: None if own.read_bytes().strip() == PREFER else fail())
        assert own.read_bytes().strip() == PREFER
    os.close(proc)
    assert own.read_bytes() == before
    child.reap(wait=True)
    assert child.status == 0


def test_without_the_file_it_goes_without(tmp_path: Path) -> None:
    nothing = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    with Score(nothing):
        assert Path("/proc/self/oom_score_adj").read_bytes().strip() != PREFER
    os.close(nothing)
