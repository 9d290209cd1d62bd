"""The daemon is killed at any point and restarted: no Keep is lost, and no process or file is left over."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .harness import DAEMON, DISK, HANGS, MEMORY, SLOW, Daemon, eventually, frame, processes, produce

Make = Callable[..., Daemon]
ROUNDS = 12


def supervisors(root: Path) -> set[int]:
    """The supervisors: session leaders with the launcher's command line whose parent is not a daemon."""
    return {p for p in processes(f"--backends {root}") if os.path.exists(f"/proc/{p}") and os.getsid(p) == p}


def launch_in_background(d: Daemon, memory: int) -> threading.Thread:
    def launch() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            d.call("POST", "/v1/keeps", {"memory": memory, "disk": DISK})

    working = threading.Thread(target=launch)
    working.start()
    return working


def test_killed_with_twenty_keeps(daemon: Make) -> None:
    d = daemon()
    keeps = [d.launch() for _ in range(20)]
    for keep in keeps:
        d.give(keep, produce(5, 10_000))
        assert len(d.take(keep, 2)) == 2
    d.kill()
    d.start()
    assert d.keeps() == dict.fromkeys(keeps, "running")
    for keep in keeps:
        assert [number for number, _ in d.take(keep, 5)] == [0, 1, 2, 3, 4]
        assert d.give(keep, frame(b"E", b"again"))[0] == 200
        assert d.take(keep, 1, start=5) == [(5, b"\x01Eagain")]
        assert d.call("POST", f"/v1/keeps/{keep}/stop")[0] == 204
    assert set(d.keeps().values()) == {"ended"}


def test_output_goes_on_while_there_is_no_daemon(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    d.give(keep, frame(b"Z", bytes.fromhex("3fd3333333333333")), produce(50, 10_000), frame(b"X"))  # in 0.3 s
    d.kill()
    time.sleep(1)
    d.start()
    assert d.call("GET", f"/v1/keeps/{keep}/wait?timeout=5")[1] == {"ended": True}
    assert [number for number, _ in d.take(keep, 51)] == list(range(50))


def test_a_keep_that_ended_meanwhile_and_one_that_was_lost(daemon: Make) -> None:
    d = daemon()
    ended, lost = d.launch(), d.launch()
    pid = d.info(lost)["pid"]
    d.kill()
    os.kill(pid, signal.SIGKILL)
    d.start()
    d.give(ended, frame(b"X"))
    d.call("GET", f"/v1/keeps/{ended}/wait?timeout=5")
    assert d.keeps() == {ended: "ended", lost: "lost"}
    assert set(d.call("POST", "/v1/prune")[1]["removed"]) == {ended, lost}


def test_the_pool_is_adopted_after_a_kill_and_dropped_at_an_orderly_end(daemon: Make, root: Path) -> None:
    d = daemon(pool=2)
    eventually(lambda: len(os.listdir(root / "keeps")) == 2)
    eventually(lambda: len([line for line in d.lines() if line["event"] == "launched"]) == 2)
    names = set(os.listdir(root / "keeps"))
    d.kill()
    d.start()
    assert {d.launch(), d.launch()} == names
    assert d.close() == 0
    assert set(os.listdir(root / "keeps")) == names
    eventually(lambda: len(supervisors(root)) == 2)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_killed_in_the_middle_of_launches_claims_and_removals(daemon: Make, root: Path, seed: int) -> None:
    """After each kill, what is listed is what runs, and every Keep that a client knows of exists unless it was being removed."""
    draw = random.Random(seed)
    d = daemon(pool=1)
    told: set[str] = set()
    unsure: set[str] = set()

    def bustle() -> None:
        while True:
            try:
                if told and draw.random() < 0.4:
                    keep = draw.choice(sorted(told))
                    told.discard(keep)
                    unsure.add(keep)
                    d.call("DELETE", f"/v1/keeps/{keep}?force=true")
                    unsure.discard(keep)
                else:
                    told.add(d.launch(MEMORY, draw.choice([None, "ab" * 32])))
            except (OSError, http.client.HTTPException):
                return  # it is dead

    working = threading.Thread(target=bustle)
    working.start()
    time.sleep(0.05 + draw.random() * 0.4)
    d.kill()
    working.join(20)
    d.start()
    listed = d.keeps()
    assert told <= set(listed) <= told | unsure | set(listed)
    assert {keep for keep, state in listed.items() if state == "ended"} <= unsure
    assert set(listed.values()) <= {"running", "ended"}
    for keep in listed:
        assert listed[keep] == "ended" or d.give(keep, frame(b"E", b"x"))[0] == 200
    for keep in listed:
        assert d.call("DELETE", f"/v1/keeps/{keep}?force=true")[0] == 204
    assert d.close() == 0
    eventually(lambda: os.listdir(root / "keeps") == [])
    eventually(lambda: processes(f"--backends {root}") == [] == processes(f"--state {root}"))


def test_a_launch_that_is_cut_off_leaves_nothing(daemon: Make, root: Path) -> None:
    d = daemon()
    caller = launch_in_background(d, SLOW)
    eventually(lambda: os.listdir(root / "keeps"))
    d.kill()
    caller.join()
    d.start()
    assert d.keeps() == {}
    time.sleep(1.2)  # the slow launch comes to its end
    assert d.close() == 0
    eventually(lambda: os.listdir(root / "keeps") == [] and processes(f"--backends {root}") == [])
    eventually(lambda: processes(f"--state {root}") == [])


def test_an_orderly_end_waits_for_a_launch_that_is_nearly_done(daemon: Make, root: Path) -> None:
    d = daemon()
    caller = launch_in_background(d, SLOW)
    eventually(lambda: os.listdir(root / "keeps"))
    assert d.close() == 0
    caller.join()
    d.start()
    assert list(d.keeps().values()) == ["running"]


def test_an_orderly_end_in_the_middle_of_an_endless_launch_leaves_nothing(daemon: Make, root: Path) -> None:
    d = daemon()
    caller = launch_in_background(d, HANGS)
    eventually(lambda: os.listdir(root / "keeps"))
    before = time.monotonic()
    assert d.close() == 0
    assert time.monotonic() - before < 5
    caller.join()
    assert os.listdir(root / "keeps") == []
    eventually(lambda: processes(f"--backends {root}") == [])


def test_what_is_half_removed_is_removed(daemon: Make, root: Path) -> None:
    d = daemon()
    keep = d.launch()
    pids = d.info(keep)["pid"], d.info(keep)["keep_pid"]
    d.kill()
    (root / "keeps" / keep / "record.json").unlink()
    d.start()
    assert d.keeps() == {}
    eventually(lambda: os.listdir(root / "keeps") == [])
    eventually(lambda: not set(pids) & set(processes(str(root))))


def test_a_record_that_can_not_be_read_is_left_alone(daemon: Make, root: Path) -> None:
    d = daemon()
    keep, other = d.launch(), d.launch()
    pid = d.info(keep)["pid"]
    d.kill()
    path = root / "keeps" / keep / "record.json"
    good = path.read_text()
    path.write_text("")
    (root / "keeps" / "stray").write_text("not a directory")
    d.start()
    assert set(d.keeps()) == {other}
    assert pid in processes(str(root))
    assert any(line["event"] == "record-unreadable" and line["keep"] == keep for line in d.lines())
    d.kill()
    path.write_text(good)
    d.start()
    assert set(d.keeps()) == {keep, other}


def test_what_the_end_of_the_machine_left_is_set_aside(daemon: Make, root: Path) -> None:
    """Nothing is synchronized to the disk, so a record may be empty after the machine's end."""
    d = daemon()
    keep, other = d.launch(), d.launch()
    pids = [d.info(name)["pid"] for name in (keep, other)]
    d.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    (root / "keeps" / keep / "record.json").write_text("")
    d.start()
    assert d.keeps() == {other: "lost"}
    eventually(lambda: os.listdir(root / "keeps") == [other])
    assert [name.split(".")[0] for name in os.listdir(root / "aside")] == [keep]


def test_a_state_directory_with_a_long_path(root: Path) -> None:
    d = Daemon(root / ("s" * 100) / ("t" * 100), socket=str(root / "host.sock"))
    try:
        keep = d.launch()
        d.give(keep, frame(b"E", b"x"))
        assert d.take(keep, 1) == [(0, b"\x01Ex")]
        d.kill()
        d.start()
        assert d.keeps() == {keep: "running"}
    finally:
        d.kill()


def test_two_daemons_do_not_share_a_state_directory(daemon: Make) -> None:
    d = daemon()
    command = [sys.executable, "-c", DAEMON, json.dumps(d.options)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert found.returncode != 0
    assert "another daemon serves this directory" in found.stderr
    assert d.launch()


def test_state_is_private(daemon: Make, root: Path) -> None:
    d = daemon()
    keep = d.launch()
    d.give(keep, frame(b"E", b"x"))
    d.take(keep, 1)
    for path in (root / "keeps").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (root / "keeps").stat().st_mode & 0o777 == 0o700
