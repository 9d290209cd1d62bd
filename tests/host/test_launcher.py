"""The launcher: orders and answers, the supervisors that it forks, and what they cost. Its Keeps are puppets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from enarx.host.launcher import client

from .harness import REFUSES, Launcher, Side, eventually, frame, processes


def supervisors(root: Path) -> list[int]:
    return [pid for pid in processes(f"--backends {root}") if os.getsid(pid) == pid]


def test_a_refusal_comes_back_whole(launcher: Launcher, root: Path) -> None:
    answer = launcher.order("k", memory=REFUSES)
    assert answer["ok"] is False
    assert answer["code"] == "layers-missing"
    assert answer["checks"] == [["seccomp", "not in this kernel", "another kernel"]]
    assert not (root / "k" / "sock").exists()
    assert launcher.keep("other").ask("info")["ok"]


def test_a_directory_with_a_very_long_path(launcher: Launcher, root: Path) -> None:
    long = root / ("d" * 120) / ("e" * 120)
    long.mkdir(parents=True)
    assert launcher.order("k", directory=str(long))["ok"]
    fd = os.open(long, os.O_PATH)
    assert Side(f"/proc/self/fd/{fd}/sock").ask("info")["state"] == "running"
    os.close(fd)


def test_supervisors_and_keeps_outlive_the_launcher(launcher: Launcher, root: Path) -> None:
    keep = launcher.keep("k")
    os.kill(launcher.pid, signal.SIGKILL)
    eventually(lambda: launcher.pid not in processes(str(root)))
    keep.give(frame(b"E", b"still here"))
    assert keep.take(1) == [(0, b"\x01Estill here")]
    assert keep.ask("stop")["ok"]
    eventually(lambda: [p for p in processes(str(root)) if p != launcher.pid] == [])


def test_a_supervisor_ends_no_other(launcher: Launcher, root: Path) -> None:
    keeps = [launcher.keep(f"k{i}") for i in range(3)]
    pids = [keep.ask("info")["pid"] for keep in keeps]
    assert sorted(pids) == sorted(supervisors(root))
    os.kill(pids[1], signal.SIGKILL)
    with pytest.raises(OSError):
        eventually(lambda: not keeps[1].ask("info")["ok"])
    assert keeps[0].ask("info")["ok"]
    assert keeps[2].ask("info")["ok"]


def test_nobody_else_may_connect(launcher: Launcher, root: Path) -> None:
    """Keeps' directories have mode 0700; in addition, the socket is accessible to its user alone."""
    assert launcher.keep("k").ask("info")["ok"]
    assert (root / "k" / "sock").stat().st_mode & 0o077 == 0
    assert (root / "k" / "meta.json").stat().st_mode & 0o077 == 0


def test_an_idle_supervisor_has_little_memory_of_its_own(launcher: Launcher) -> None:
    pids = [launcher.keep(f"k{i}").ask("info")["pid"] for i in range(5)]
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        private = sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty", "Private_Clean")))
        assert private < 3 << 10  # KiB


def test_a_launch_is_not_lost_where_many_are_asked_for(launcher: Launcher) -> None:
    launcher.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    keeps = [launcher.keep(f"k{i}") for i in range(20)]
    assert [keep.ask("info")["state"] for keep in keeps] == ["running"] * 20


def test_supervisors_that_have_ended_are_reaped(launcher: Launcher, root: Path) -> None:
    keeps = [launcher.keep(f"k{i}") for i in range(5)]
    pids = [keep.ask("info")["pid"] for keep in keeps]
    for keep in keeps:
        keep.ask("stop")
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


def test_a_cancellation_that_meets_the_answer_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the daemon would wait without end for the task that fills its pool."""

    async def story() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        launching = client.Launcher("", state="", cache="")
        monkeypatch.setattr(launching, "_receive", lambda link: received)
        monkeypatch.setattr(launching, "close", lambda: None)
        with ours, theirs:
            ours.setblocking(False)
            launching._link = ours
            task = asyncio.create_task(launching.launch({}))
            await asyncio.sleep(0.1)
            received.set_result(b'{"ok": true}')
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            launching._link = ours
            received = asyncio.get_running_loop().create_future()
            received.set_result(b'{"ok": true}')
            assert await launching.launch({}) == {"ok": True}, "without a cancellation the answer comes"

    asyncio.run(story())
