"""T57: an ended Keep still costs the host resources, or its result vanishes with the process that served it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.abuse import Host, is_gone
from tests.attacks.proxy import Proxy
from tests.e2e.harness import until

ONE_KEEP = "134408KiB"
"""What one running Keep may leave with the default limits: 64 MiB of output, its results, and their overhead."""

Make = Callable[..., Host]
Wasm = Callable[[str], Path]


def detached(one: Host, path: Path) -> str:
    found = one.daemon.deploy("--detach", path)
    assert found.returncode == 0, found.stderr
    return found.stdout.decode().strip()


def ended(one: Host, keep: str) -> None:
    assert one.call("GET", f"keeps/{keep}/wait?timeout=30") == {"ended": True}


def test_a_finished_keep_has_no_process_and_its_result_is_there(hosts: Make, wasm: Wasm) -> None:
    one = hosts()
    keep = detached(one, wasm("slow"))
    pids = one.processes(keep)
    ended(one, keep)
    until(lambda: all(map(is_gone, pids)), "its processes to be gone", 5)
    assert one.daemon.keep("logs", keep).stdout == b"tick\n" * 10


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_results_outlive_the_daemon(hosts: Make, wasm: Wasm, how: signal.Signals) -> None:
    one = hosts()
    keep = detached(one, wasm("slow"))
    one.daemon.end(how)
    until(lambda: not (one.keeps / keep / "sock").exists(), "the job to end without a daemon", 20)
    one.daemon.start()
    assert one.states() == {keep: "ended"}
    ended(one, keep)
    entries = one.output(keep)
    assert [number for number, _, _ in entries] == list(range(len(entries)))
    one.restart()
    assert one.output(keep) == entries
    assert one.output(keep, len(entries) - 1) == entries[-1:]
    assert one.output(keep, len(entries)) == []


def test_output_outlives_a_killed_supervisor_in_whole_entries(hosts: Make, wasm: Wasm) -> None:
    one = hosts()
    keep = detached(one, wasm("sleep"))
    until(lambda: len(one.output(keep)) >= 1, "output")
    entries = one.output(keep)
    supervisor, _ = one.processes(keep)
    os.kill(supervisor, signal.SIGKILL)
    ended(one, keep)
    assert one.states() == {keep: "lost"}
    assert one.output(keep) == entries
    (segment,) = (one.keeps / keep).glob("output.*")
    whole = segment.read_bytes()
    number = len(entries).to_bytes(8, "big")
    for torn in (number[:5], number + (1000).to_bytes(4, "big"), number + (1000).to_bytes(4, "big") + bytes(999)):
        segment.write_bytes(whole + torn)
        assert one.output(keep) == entries
        one.restart()
        assert one.output(keep) == entries


def test_what_is_asked_of_a_finished_keep(hosts: Make, wasm: Wasm) -> None:
    one = hosts()
    keep = detached(one, wasm("hello"))
    ended(one, keep)
    info = one.call("GET", f"keeps/{keep}")
    assert (info["state"], info["id"]) == ("ended", keep)
    assert info["frames"] == len(one.output(keep))
    assert info["stored"] == sum(path.stat().st_size for path in (one.keeps / keep).glob("output.*"))
    assert one.error("POST", f"keeps/{keep}/input", b"") == "ended"
    assert one.error("POST", f"keeps/{keep}/stop") == ""
    assert one.call("POST", "prune") == {"removed": [keep]}
    assert os.listdir(one.keeps) == []
    assert one.error("GET", f"keeps/{keep}/output") == "not-found"


def test_asking_for_a_keep_by_its_whole_id_costs_no_list(host: Proxy) -> None:
    """Whatever number of Keeps the host has stored, the beginning of an id must be looked up."""
    keep = Host(host.behind).launch()
    for name, asked in ((keep, []), (keep[:15], ["GET /v1/keeps?limit=1000"])):
        host.asked.clear()
        assert host.enarx("keep", "inspect", name, "--host", host.url).returncode == 0
        assert host.asked == [*asked, f"GET /v1/keeps/{keep}"]


@pytest.mark.parametrize(
    ("option", "what"), [("--max-finished=1", b"1 ended Keeps"), (f"--max-stored={ONE_KEEP}", b"stored output")]
)
def test_ended_keeps_are_bounded(hosts: Make, wasm: Wasm, option: str, what: bytes) -> None:
    one = hosts(option)
    ended(one, detached(one, wasm("hello")))
    found = one.daemon.deploy(wasm("hello"))
    assert found.returncode == 127
    assert what in found.stderr
    assert b"hint: enarx keep prune" in found.stderr
    assert one.daemon.keep("prune").returncode == 0
    assert one.daemon.deploy(wasm("hello")).returncode == 0
