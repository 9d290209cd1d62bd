"""`enarx keep` at a real daemon: names, lists, waiting for the end, several Keeps at once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import enarx
from tests.e2e.harness import ENARX, PATIENCE, Daemon, environment, until
from tests.e2e.harness import enarx as command

Wasm = Callable[[str], Path]


def started(daemon: Daemon, wasm: Path, *more: str) -> str:
    """The id of a detached job."""
    found = daemon.deploy("--detach", *more, wasm)
    assert found.returncode == 0, found.stderr
    return found.stdout.decode().strip()


def lines(found: subprocess.CompletedProcess[bytes]) -> list[list[str]]:
    return [line.split() for line in found.stdout.decode().splitlines()]


@contextlib.contextmanager
def running(daemon: Daemon, wasm: Path, name: str) -> Iterator[str]:
    """A job that runs until the end of the block, attached in another process; its Keep's id."""
    where = ("--host", daemon.url, "--simulated-root", daemon.root)
    with subprocess.Popen(
        [*ENARX, "deploy", *where, "--name", name, str(wasm)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(daemon.home),
    ) as job:
        assert job.stdin is not None
        assert job.stdout is not None
        job.stdin.write(b"x")
        job.stdin.flush()
        assert job.stdout.read(1) == b"x"
        yield next(iter(daemon.keeps()))
        job.stdin.close()
        job.wait(PATIENCE)


@pytest.mark.parametrize("options", [("--pool", "1"), ()])
def test_a_list_names_what_runs(home: Path, wasm: Wasm, options: tuple[str, ...]) -> None:
    daemon = Daemon(home, *options).start()
    try:
        if options:
            until(lambda: b'"pooled": true' in daemon.log.read_bytes(), "the pool")
        before = int(time.time())
        with running(daemon, wasm("cat"), "web") as keep:
            (shown,) = json.loads(daemon.keep("list", "--json").stdout)
            listed = daemon.keep("list").stdout.decode()
            counts = [len(lines(daemon.keep("list", *more))) for more in FILTERS]
        assert (shown["id"], shown["name"], shown["state"], shown["ours"]) == (keep, "web", "running", True)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["started"])
        assert shown["started"] >= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before))
        header, row = listed.splitlines()
        assert header.split() == ["KEEP", "NAME", "STATE", "STARTED", "PACKAGE", "KIND", "OURS"]
        assert len(header) <= 80
        assert len(row) <= 80
        assert row.split()[:3] == [keep, "web", "running"]
        assert len(bytes.fromhex(shown["declared_package"])) == 32
        assert shown["declared_package"][:12] in row
        assert shown["package_digest"] == "0" * 64, "it was launched for no package, even without a pool"
        assert counts == [2, 1, 2, 1], "each with its header"
    finally:
        daemon.clean()


FILTERS = (("--name", "web"), ("--name", "other"), ("--state", "running"), ("--state", "ended"))


def test_a_name_works_wherever_an_id_does(daemon: Daemon, wasm: Wasm, home: Path) -> None:
    with running(daemon, wasm("cat"), "live") as live:
        taken = daemon.deploy("--name", "live", wasm("hello"))
        assert taken.returncode == 125
        assert b"a running Keep of this tenant is named live" in taken.stderr
        assert json.loads(daemon.keep("inspect", "live").stdout)["id"] == live
        assert daemon.keep("attest", "live", "--simulated-root", daemon.root).returncode == 0
        assert daemon.keep("logs", "live").stdout == b"x"
    keep = started(daemon, wasm("slow"), "--name", "web")
    assert daemon.keep("attach", "web").stdout == b"tick\n" * 10
    with enarx_home(home), enarx.attach("web") as job:
        assert job.keep == keep
    assert daemon.keep("wait", "web").returncode == 0
    again = started(daemon, wasm("hello"), "--name", "web")
    assert again != keep
    assert daemon.keep("wait", "web").stdout.decode().split() == [again, "exit", "0"], "the latest of that name"
    removed = daemon.keep("rm", "web")
    assert (removed.returncode, removed.stderr) == (0, b"removed 1 Keep\n")
    assert daemon.keep("logs", "web").stdout == b"tick\n" * 10, "then the one before"
    assert daemon.keep("rm", keep[:6]).returncode == 0
    gone = daemon.keep("logs", "web")
    assert gone.returncode == 125
    assert b"has the name 'web', or an id that starts with it" in gone.stderr


class enarx_home:  # noqa: N801  # reads as a function does
    """Runs the block with the environment of a home."""

    def __init__(self, home: Path) -> None:
        self._patch = pytest.MonkeyPatch()
        self._home = home

    def __enter__(self) -> None:
        for name, text in environment(self._home).items():
            self._patch.setenv(name, text)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def test_waiting_ends_with_the_proven_code(daemon: Daemon, wasm: Wasm) -> None:
    failing, passing = started(daemon, wasm("trap")), started(daemon, wasm("hello"))
    assert daemon.keep("wait", passing).returncode == 0
    waited = daemon.keep("wait", failing)
    assert waited.returncode == 134
    assert lines(waited) == [[failing, "trap", "134"]]
    assert f"error: Keep {failing}: the workload trapped".encode() in waited.stderr
    both = daemon.keep("wait", passing, failing, passing, "--json")
    assert both.returncode == 134
    assert json.loads(both.stdout) == [
        {"keep": passing, "proven": True, "termination": "exit", "exit_code": 0},
        {"keep": failing, "proven": True, "termination": "trap", "exit_code": 134},
    ]


def test_an_end_without_a_session_is_the_hosts_word(daemon: Daemon, wasm: Wasm, home: Path) -> None:
    keep = started(daemon, wasm("hello"), "--name", "web")
    assert daemon.keep("wait", keep).returncode == 0
    other = home / "other"
    other.mkdir()
    for word in (keep, "web"):
        waited = command(other, "keep", "wait", word, "--host", daemon.url)
        assert waited.returncode == 127
        assert waited.stdout.decode() == f"{keep}  ended, not proven  127\n"
        assert b"has ended, as the host says; how is not proven: no session with it is saved here" in waited.stderr


def test_waiting_lasts_until_the_end_or_the_timeout(daemon: Daemon, wasm: Wasm) -> None:
    reading, writing = os.pipe()
    with enarx_home(daemon.home), open(writing, "wb"), open(reading, "rb"):
        job = enarx.deploy(wasm("cat"), host=daemon.url, simulated_root=daemon.root, name="live", stdin=reading)
        job.detach(close_stdin=False)  # it waits for more of its stdin
        before = time.monotonic()
        late = daemon.keep("wait", "live", "--timeout", "1s")
        assert 1 <= time.monotonic() - before < PATIENCE / 2
        assert late.returncode == 127
        assert b"has not ended in time" in late.stderr
        refused = daemon.keep("rm", "live")
        assert refused.returncode == 125
        assert b"the Keep is running" in refused.stderr
        command = [*ENARX, "keep", "wait", "live", "--host", daemon.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(daemon.home)) as waiting:
            time.sleep(2)
            assert waiting.poll() is None
            daemon.end()
            daemon.start()  # the wait outlives a daemon that comes back at the same place
            time.sleep(1)
            assert waiting.poll() is None
            stopped = daemon.keep("stop", "live", "--json")
            assert json.loads(stopped.stdout)[0]["termination"] == "stopped"
            assert waiting.wait(PATIENCE) == 137


def test_a_keep_that_is_removed_while_it_is_waited_for(daemon: Daemon, wasm: Wasm) -> None:
    with running(daemon, wasm("cat"), "live"):
        command = [*ENARX, "keep", "wait", "live", "--host", daemon.url]
        waiting = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(daemon.home))
        time.sleep(2)
        assert waiting.poll() is None
        assert daemon.keep("rm", "--force", "live").returncode == 0
    with waiting:
        assert waiting.wait(PATIENCE) == 127
        assert waiting.stderr is not None
        assert b"was removed; how it ended cannot be read" in waiting.stderr.read()


def test_several_at_once(daemon: Daemon, wasm: Wasm) -> None:
    keeps = [started(daemon, wasm("hello")) for _ in range(3)]
    assert daemon.keep("wait", *keeps).returncode == 0
    removed = daemon.keep("rm", keeps[0], "absent", keeps[1])
    assert removed.returncode == 125
    assert b"Keep absent:\nerror: no Keep of " in removed.stderr
    assert removed.stderr.endswith(b"removed 2 Keeps\n")
    assert list(daemon.keeps()) == [keeps[2]]
    assert json.loads(daemon.keep("rm", keeps[2], "--json").stdout) == {"removed": [keeps[2]]}
    assert daemon.keep("prune").stderr == b"removed 0 Keeps\n"


def test_a_session_whose_keep_is_gone_can_be_removed(daemon: Daemon, wasm: Wasm, home: Path) -> None:
    keep = started(daemon, wasm("hello"), "--name", "web")
    other = home / "other"
    other.mkdir()
    assert daemon.keep("wait", keep).returncode == 0
    assert command(other, "keep", "rm", keep, "--host", daemon.url).returncode == 0, "the same tenant, another machine"
    removed = daemon.keep("rm", "web")
    assert removed.returncode == 0
    assert b"its host does not have it any more" in removed.stderr
    assert list((home / "state/enarx/sessions").iterdir()) == []


@pytest.mark.parametrize("name", ["Web", "a_b", "-", "x" * 64, "0123456789abcdef"])
def test_what_is_no_name_is_refused_before_anything_runs(daemon: Daemon, wasm: Wasm, name: str) -> None:
    refused = daemon.deploy(f"--name={name}", wasm("hello"))
    assert refused.returncode == 125
    assert b"wanted 1 to 63 of a-z, 0-9 and -" in refused.stderr
    assert daemon.keeps() == {}


def test_a_first_connection_that_is_refused(home: Path, wasm: Wasm) -> None:
    daemon = Daemon(home).start()
    try:
        keep = started(daemon, wasm("hello"))
        daemon.end()
        for action in ("attach", "logs", "wait", "stop", "inspect", "rm"):
            found = daemon.keep(action, keep)
            assert found.returncode == 127, action
            assert b"the host cannot be reached" in found.stderr
            assert b"attach again" not in found.stderr
    finally:
        daemon.clean()
