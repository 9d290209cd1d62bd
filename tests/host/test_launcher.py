"""The launcher: what it gives to its children, what it does when the hardware fails, and what it costs."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from .harness import DIES, REFUSES, Launcher, Side, eventually, frame, processes


def supervisors(root: Path) -> list[int]:
    return [pid for pid in processes(f"--backends {root}") if os.getsid(pid) == pid]


def test_the_hardware_gets_its_link_and_nothing_else(root: Path) -> None:
    stray = os.dup(2)
    os.set_inheritable(stray, True)
    os.environ["STRAY"] = "1"
    launcher = Launcher(root)
    try:
        launcher.keep("k")
        found = json.loads((root / "hardware" / "surroundings.json").read_text())
        assert list(found["fds"]) == ["3"]
        assert found["fds"]["3"].startswith("socket:")
        assert found["environment"] == {"LANG": "C.UTF-8"}
        assert found["cwd"] == "/"
    finally:
        os.close(stray)
        del os.environ["STRAY"]
        launcher.close()


def test_a_refusal_comes_back_whole(launcher: Launcher, root: Path) -> None:
    answer = launcher.order("k", memory=REFUSES)
    assert answer["ok"] is False
    assert answer["code"] == "layers-missing"
    assert answer["checks"] == [["seccomp", "not in this kernel", "another kernel"]]
    assert not (root / "k" / "sock").exists()
    assert launcher.keep("other").ask("info")["ok"]


def test_hardware_that_died_is_started_again_and_keeps_go_on(launcher: Launcher) -> None:
    before = launcher.keep("before")
    assert launcher.order("k", memory=DIES)["code"] == "hardware-died"
    after = launcher.keep("after")
    for keep in (before, after):
        keep.give(frame(b"E", b"still here"))
        assert keep.take(1) == [(0, b"\x01Estill here")]


def test_hardware_killed_between_launches_costs_no_launch(launcher: Launcher, root: Path) -> None:
    launcher.keep("before")
    (hardware,) = [p for p in processes(f"--state {root}/hardware") if os.getsid(p) == p]
    os.kill(hardware, signal.SIGKILL)
    eventually(lambda: hardware not in processes(str(root)))
    assert launcher.keep("after").ask("info")["ok"]


def test_a_directory_that_is_gone_launches_nothing(launcher: Launcher, root: Path) -> None:
    answer = launcher.order("k", directory=f"{root}/nowhere")
    assert (answer["ok"], answer["code"]) == (False, "launch")
    assert launcher.keep("other").ask("info")["ok"]
    eventually(lambda: len(processes(f"--state {root}/hardware")) == 2)


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


def test_it_ends_with_the_daemon_and_takes_the_idle_hardware_along(root: Path) -> None:
    launcher = Launcher(root)
    launcher.close()
    eventually(lambda: processes(str(root)) == [])


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
    """The daemon makes Keeps' directories 0700; the socket is for its user alone besides."""
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


IGNORED, CAUGHT = "SigIgn", "SigCgt"


def has_sigchld(pid: int, how: str) -> bool:
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith(how))
    return bool(int(line.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)


def test_nobody_is_made_to_ignore_the_end_of_a_child(root: Path) -> None:
    """The hardware waits for its zygote: where it ignored SIGCHLD, the number could be another process's by then."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as a careless parent of the daemon may have left it
    try:
        launcher = Launcher(root)
        info = launcher.keep("k").ask("info")
    finally:
        signal.signal(signal.SIGCHLD, before)
    found = json.loads((root / "hardware" / "signals.json").read_text())
    assert not found["ignored"] >> (signal.SIGCHLD - 1) & 1
    for how in (IGNORED, CAUGHT):
        assert not has_sigchld(info["pid"], how)
    launcher.close()


def test_supervisors_that_have_ended_are_reaped(launcher: Launcher, root: Path) -> None:
    keeps = [launcher.keep(f"k{i}") for i in range(5)]
    pids = [keep.ask("info")["pid"] for keep in keeps]
    for keep in keeps:
        keep.ask("stop")
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


def test_a_launch_that_finds_no_room_says_so(launcher: Launcher, root: Path) -> None:
    """The supervisor's first word cannot be written: the Keep is ended, and the error is named."""
    (root / "k").mkdir()
    (root / "k" / "meta.json").mkdir()
    answer = launcher.order("k")
    assert (answer["ok"], answer["code"]) == (False, "launch")
    eventually(lambda: len(processes(f"--state {root}/hardware")) == 1)
    assert launcher.keep("other").ask("info")["ok"]
