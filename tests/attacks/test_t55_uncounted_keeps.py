"""T55: a client or a fault makes the host forget a Keep that still runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attacks.abuse import Host, is_gone
from tests.e2e.harness import until

Make = Callable[..., Host]
FREEZER = Path("/sys/fs/cgroup/freezer")


@pytest.mark.parametrize("op", ["GET keeps/{}", "POST keeps/{}/stop", "GET keeps/{}/wait?timeout=0.1"])
def test_readers_take_nothing_from_management(hosts: Make, op: str) -> None:
    one = hosts("--max-keeps", "1")
    keep = one.launch()
    method, path = op.format(keep).split()
    with one.readers(keep, 64):
        assert one.error("POST", "keeps", {"memory": 1, "disk": 1}) == "host-full"
        assert one.error(method, path) == ""


def test_a_keep_with_64_readers_is_removed_and_gone(hosts: Make) -> None:
    one = hosts("--max-keeps", "1")
    keep = one.launch()
    pids = one.processes(keep)
    with one.readers(keep, 64):
        assert one.error("DELETE", f"keeps/{keep}?force=true") == ""
        assert all(map(is_gone, pids))
    assert one.states() == {}
    assert os.listdir(one.keeps) == []
    assert one.launch()


@pytest.mark.parametrize("stopped", [0, 1], ids=["supervisor", "Keep"])
def test_a_process_that_does_nothing_any_more_is_removed_all_the_same(hosts: Make, stopped: int) -> None:
    one = hosts("--max-keeps", "1")
    keep = one.launch()
    pids = one.processes(keep)
    os.kill(pids[stopped], signal.SIGSTOP)
    assert one.error("DELETE", f"keeps/{keep}?force=true") == ""
    assert all(map(is_gone, pids))
    assert one.states() == {}


def test_no_keep_outlives_its_supervisor(hosts: Make) -> None:
    """A stopped process does not notice that its control socket was closed."""
    one = hosts("--max-keeps", "1")
    keep = one.launch()
    supervisor, inner = one.processes(keep)
    os.kill(inner, signal.SIGSTOP)
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: is_gone(inner), "the Keep to end", 10)
    assert one.call("GET", f"keeps/{keep}/wait?timeout=10") == {"ended": True}
    assert one.states() == {keep: "lost"}


def test_no_keep_outlives_its_supervisor_while_there_is_no_daemon(hosts: Make) -> None:
    one = hosts("--max-keeps", "1")
    keep = one.launch()
    supervisor, inner = one.processes(keep)
    os.kill(inner, signal.SIGSTOP)
    one.daemon.end(signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    one.daemon.start()
    until(lambda: is_gone(inner), "the Keep to end", 10)
    assert one.call("GET", f"keeps/{keep}/wait?timeout=10") == {"ended": True}


@pytest.fixture
def frozen() -> Iterator[Callable[[int], None]]:
    """Make a process survive even SIGKILL, for the time being."""
    group = FREEZER / f"enarx-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as e:
        pytest.skip(f"no freezer of version 1 to be had: {e.strerror}")

    def freeze(pid: int) -> None:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        until(lambda: (group / "freezer.state").read_text().strip() == "FROZEN", "the freezer")

    yield freeze
    (group / "freezer.state").write_text("THAWED")
    until(lambda: not (group / "cgroup.procs").read_text(), "the frozen to end")
    group.rmdir()


def test_what_cannot_be_removed_counts_is_listed_and_is_tried_again(hosts: Make, frozen: Callable[[int], None]) -> None:
    one = hosts("--max-keeps", "1")
    keep = one.launch()
    _, inner = one.processes(keep)
    frozen(inner)
    assert one.error("DELETE", f"keeps/{keep}?force=true") == "not-gone"
    assert one.states() == {keep: "running"}
    assert one.error("POST", "keeps", {"memory": 1, "disk": 1}) == "host-full"
    for path in FREEZER.glob(f"enarx-test-{os.getpid()}/freezer.state"):
        path.write_text("THAWED")
    until(lambda: one.states() == {}, "the Keep to be removed after all", 20)
    assert is_gone(inner)
    assert one.launch()


def test_a_keep_whose_record_is_destroyed_counts_as_long_as_it_runs(hosts: Make) -> None:
    one = hosts("--max-keeps", "1")
    keep = one.launch()
    _, inner = one.processes(keep)
    one.daemon.end(signal.SIGKILL)
    record = one.keeps / keep / "record.json"
    record.write_text("[" * 60_000)
    one.daemon.start()
    assert one.states() == {}
    assert one.error("POST", "keeps", {"memory": 1, "disk": 1}) == "host-full"
    os.kill(inner, signal.SIGKILL)
    until(lambda: one.error("POST", "keeps", {"memory": 1, "disk": 1}) == "", "room", 15)
    assert [path.name.split(".")[0] for path in (one.daemon.state / "aside").iterdir()] == [keep]
