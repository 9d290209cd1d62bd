"""The process backend: what its simulator inherits, and what happens when the simulator fails."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from .harness import DIES, Daemon, Launcher, eventually, frame, processes


def test_the_simulator_gets_its_link_and_nothing_else(root: Path) -> None:
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


def test_simulator_that_died_is_started_again_and_keeps_go_on(launcher: Launcher) -> None:
    before = launcher.keep("before")
    assert launcher.order("k", memory=DIES)["code"] == "hardware-died"
    after = launcher.keep("after")
    for keep in (before, after):
        keep.give(frame(b"E", b"still here"))
        assert keep.take(1) == [(0, b"\x01Estill here")]


def test_simulator_killed_between_launches_costs_no_launch(launcher: Launcher, root: Path) -> None:
    launcher.keep("before")
    (simulator,) = [p for p in processes(f"--state {root}/hardware") if os.getsid(p) == p]
    os.kill(simulator, signal.SIGKILL)
    eventually(lambda: simulator not in processes(str(root)))
    assert launcher.keep("after").ask("info")["ok"]


def test_it_ends_with_the_daemon_and_takes_the_idle_simulator_along(root: Path) -> None:
    launcher = Launcher(root)
    launcher.close()
    eventually(lambda: processes(str(root)) == [])


IGNORED, CAUGHT = "SigIgn", "SigCgt"


def has_sigchld(pid: int, how: str) -> bool:
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith(how))
    return bool(int(line.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)


def test_nobody_is_made_to_ignore_the_end_of_a_child(root: Path) -> None:
    """The simulator waits for its zygote: if it ignored SIGCHLD, the number could be another process's by then."""
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


def test_nothing_is_inherited_from_the_daemon(root: Path) -> None:
    stray = os.dup(2)
    os.set_inheritable(stray, True)
    d = Daemon(root)
    os.close(stray)
    try:
        d.launch()
        found = json.loads((root / "hardware" / "surroundings.json").read_text())
        assert list(found["fds"]) == ["3"]
        assert (found["environment"], found["cwd"]) == ({"LANG": "C.UTF-8"}, "/")
    finally:
        d.kill()


def test_a_directory_that_is_gone_launches_nothing(launcher: Launcher, root: Path) -> None:
    answer = launcher.order("k", directory=f"{root}/nowhere")
    assert (answer["ok"], answer["code"]) == (False, "launch")
    assert launcher.keep("other").ask("info")["ok"]
    eventually(lambda: len(processes(f"--state {root}/hardware")) == 2)


def test_a_launch_that_finds_no_room_says_so(launcher: Launcher, root: Path) -> None:
    """The supervisor's first report cannot be written: the Keep is ended, and the error is named."""
    (root / "k").mkdir()
    (root / "k" / "meta.json").mkdir()
    answer = launcher.order("k")
    assert (answer["ok"], answer["code"]) == (False, "launch")
    eventually(lambda: len(processes(f"--state {root}/hardware")) == 1)
    assert launcher.keep("other").ask("info")["ok"]
