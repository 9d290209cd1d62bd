"""The host side of `enarx run`: one Keep for as long as the command lives, and nothing left afterwards."""

from __future__ import annotations

import glob
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import (
    DIES,
    DISK,
    HANGS,
    KIND,
    MEMORY,
    REFUSES,
    SLOW,
    ZEROS,
    Side,
    eventually,
    frame,
    processes,
    produce,
    spawn,
)


class Local:
    """The process as the command starts it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "hardware").mkdir()
        (root / "private").mkdir(mode=0o700)
        self.path = f"{root}/private/sock"
        arguments = [
            "--state",
            f"{root}/hardware",
            "--cache",
            str(root),
            "--directory",
            f"{root}/private",
            "--kind",
            "",
        ]
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen(16)
            read, self.order_fd = os.pipe()
            self.pid = spawn("enarx.host.local", *arguments, fds=(listener.fileno(), read), blocked=(signal.SIGINT,))
            os.close(read)

    def order(self, **more: object) -> Side:
        order = {"host_data": ZEROS, "memory": MEMORY, "disk": DISK, "skip_layers": [], **more}
        os.write(self.order_fd, json.dumps(order).encode() + b"\n")
        return Side(self.path)

    def leave(self) -> None:
        os.close(self.order_fd)
        self.order_fd = -1

    def is_gone(self) -> bool:
        return processes(str(self.root)) == [] and not (self.root / "private").exists()


@pytest.fixture
def local(root: Path) -> Iterator[Callable[[], Local]]:
    made: list[Local] = []

    def make() -> Local:
        made.append(Local(root))
        return made[-1]

    yield make
    for one in made:
        if one.order_fd >= 0:
            one.leave()
        eventually(one.is_gone, 5)
        os.waitpid(one.pid, 0)


def test_one_keep_that_ends_with_the_command(local: Callable[[], Local]) -> None:
    one = local()
    side = one.order(skip_layers=["seccomp"])
    side.give(frame(b"E", b"hello"))
    assert side.take(1) == [(0, b"\x01Ehello")]
    info = side.ask("info")
    assert info["kind"] == KIND
    assert info["skipped"] == ["seccomp"]
    assert info["layers"]
    one.leave()
    eventually(one.is_gone)


def size_of(path: Path) -> int:
    """The size of a file, 0 once it is gone: the host erases segments meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_results_that_the_command_has_read_take_no_memory(local: Callable[[], Local]) -> None:
    one = local()
    side = one.order()
    reader = side.open("output", **{"from": 0, "follow": True})
    side.give(produce(2000, 100_000, results=True))
    numbers, stored = [], 0
    for number, _ in reader.entries():
        numbers.append(number)
        if number % 100 == 99:
            stored = max(stored, sum(map(size_of, (one.root / "private").glob("output.*"))))
        if number == 1999:
            break
    assert numbers == list(range(2000))
    assert stored < 100 << 20
    reader.close()
    side.give(produce(2000, 100_000, results=True))  # nobody reads these, and none is lost
    eventually(lambda: side.ask("info")["stored"] >= 64 << 20)
    first = side.ask("info")["first"]
    again = side.open("output", **{"from": first, "follow": True})
    for _, (number, _) in zip(range(2000), again.entries(), strict=False):
        first = number
    assert first >= 3000
    again.close()


def test_nothing_is_inherited(local: Callable[[], Local]) -> None:
    stray = os.dup(2)
    os.set_inheritable(stray, True)
    one = local()
    one.order().ask("info")
    found: dict[str, Any] = json.loads((one.root / "hardware" / "surroundings.json").read_text())
    os.close(stray)
    assert list(found["fds"]) == ["3"]
    assert found["environment"] == {"LANG": "C.UTF-8"}
    assert found["cwd"] == "/"


def test_the_command_may_leave_before_it_says_what_to_launch(local: Callable[[], Local]) -> None:
    one = local()
    one.leave()
    eventually(one.is_gone)


@pytest.mark.parametrize("memory", [SLOW, MEMORY])
def test_the_command_may_leave_while_the_keep_is_launched(local: Callable[[], Local], memory: int) -> None:
    one = local()
    one.order(memory=memory)
    one.leave()
    eventually(lambda: one.pid not in processes(str(one.root)), 0.9)
    eventually(one.is_gone)


def test_hardware_that_hangs_does_not_hold_the_command_up(local: Callable[[], Local]) -> None:
    one = local()
    one.order(memory=HANGS)
    eventually(lambda: (one.root / "hardware" / "surroundings.json").exists())
    one.leave()
    eventually(lambda: one.pid not in processes(str(one.root)))
    for pid in processes(str(one.root)):  # the tests' own: nothing in earnest sleeps for ten minutes
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("memory", "code"), [(REFUSES, "layers-missing"), (DIES, "hardware-died")])
def test_a_refused_launch_is_what_every_request_gets(local: Callable[[], Local], memory: int, code: str) -> None:
    one = local()
    side = one.order(memory=memory)
    for op in ("output", "input", "info"):
        answer = side.ask(op)
        assert answer["ok"] is False
        assert answer["code"] == code
        assert answer["message"]
    one.leave()
    eventually(one.is_gone)


def test_a_keep_that_cannot_be_supervised_is_ended_and_the_command_is_told_why(local: Callable[[], Local]) -> None:
    """The Keep runs by the time its directory turns out to be gone."""
    one = local()
    moved = one.root / "moved"
    (one.root / "private").rename(moved)
    one.order()
    answer = Side(f"{moved}/sock").ask("info")
    assert (answer["ok"], answer["code"]) == (False, "launch")
    eventually(lambda: not groups(one.pid))
    one.leave()
    eventually(one.is_gone)
    assert not groups(one.pid)


def groups(pid: int) -> list[str]:
    """The cgroups of Keeps of the local run in process `pid`."""
    return glob.glob(f"/sys/fs/cgroup/**/enarx-run-{pid}-*", recursive=True)


def test_a_refused_launch_that_nobody_asks_about(local: Callable[[], Local]) -> None:
    one = local()
    one.order(memory=REFUSES)
    one.leave()
    eventually(one.is_gone)


def test_output_is_there_after_the_keep_has_ended(local: Callable[[], Local]) -> None:
    one = local()
    side = one.order()
    side.give(produce(3, 1000), frame(b"X"))
    reader = side.open("output", **{"from": 0, "follow": True})
    assert len(list(reader.entries())) == 3
    reader.close()


def test_ctrl_c_is_the_commands_affair(local: Callable[[], Local]) -> None:
    one = local()
    side = one.order()
    side.ask("info")
    os.kill(one.pid, signal.SIGINT)
    assert side.ask("info")["state"] == "running"


def test_sigterm_takes_everything_down(local: Callable[[], Local]) -> None:
    one = local()
    side = one.order()
    side.give(produce(3, 1000))
    os.kill(one.pid, signal.SIGTERM)
    eventually(one.is_gone)


def test_sigterm_undoes_a_launch(local: Callable[[], Local]) -> None:
    one = local()
    one.order(memory=HANGS)
    eventually(lambda: (one.root / "hardware" / "surroundings.json").exists())
    os.kill(one.pid, signal.SIGTERM)
    eventually(lambda: not (one.root / "private").exists())
    eventually(lambda: one.pid not in processes(str(one.root)))
    assert not groups(one.pid)
    for pid in processes(str(one.root)):  # the tests' own: nothing in earnest sleeps for ten minutes
        os.kill(pid, signal.SIGKILL)


def test_kill_leaves_no_process(local: Callable[[], Local]) -> None:
    """Only then is its directory left: ciphertext, in memory."""
    one = local()
    one.order().ask("info")
    os.kill(one.pid, signal.SIGKILL)
    eventually(lambda: processes(str(one.root)) == [])
    for path in (one.root / "private").iterdir():
        path.unlink()
    (one.root / "private").rmdir()


def test_what_is_loaded_is_what_start_up_can_afford() -> None:
    """Modules that take milliseconds to load stay out of this process."""
    import subprocess
    import sys

    from .harness import SOURCE

    modules = "enarx.host.local, enarx.host.backends.process.backend, enarx.host.launcher.launch"
    code = f"import sys; sys.path[:0] = [{SOURCE!r}]; import {modules}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"asyncio", "subprocess", "pathlib", "logging", "dataclasses", "typing", "inspect", "tempfile", "random"}
    assert not heavy & set(found.split())
