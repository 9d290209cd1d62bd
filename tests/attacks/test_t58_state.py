"""T58: entries in the host's state directory make it delete, read or trust files that are not its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.abuse import Host, is_gone
from tests.e2e.harness import ENARX, environment, until

Make = Callable[..., Host]


def logged(one: Host, event: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, one.daemon.log.read_text().splitlines()) if line["event"] == event]


@pytest.fixture
def outside(home: Path) -> Path:
    path = home / "outside"
    path.mkdir()
    for name in ("record.json", "meta.json", "output.0000000000000000", "precious"):
        (path / name).write_text("{}")
    return path


def untouched(outside: Path) -> bool:
    return sorted(os.listdir(outside)) == ["meta.json", "output.0000000000000000", "precious", "record.json"]


@pytest.mark.parametrize("name", ["0123456789abcdef", "0123456789abcdef.gone", "elsewhere"])
def test_a_link_among_the_keeps_is_not_followed(hosts: Make, outside: Path, name: str) -> None:
    one = hosts()
    keep = one.launch()
    one.daemon.end()
    (one.keeps / name).symlink_to(outside)
    (one.keeps / "file").write_text("")
    one.daemon.start()
    assert one.states() == {keep: "running"}
    assert untouched(outside)
    assert (one.keeps / name).is_symlink()
    assert {line["name"] for line in logged(one, "foreign")} == {name, "file"}


@pytest.mark.parametrize("name", ["record.json", "pooled.json", "meta.json", "output.0000000000000000", "other"])
def test_a_link_within_a_keep_is_not_followed(hosts: Make, outside: Path, name: str) -> None:
    one = hosts()
    keep = one.launch()
    pids = one.processes(keep)
    one.daemon.end()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(map(is_gone, pids)), "both to be gone")
    (one.keeps / keep / name).unlink(missing_ok=True)
    (one.keeps / keep / name).symlink_to(outside / "precious")
    one.daemon.start()
    one.launch()
    for path in one.states():
        one.ask("GET", f"keeps/{path}/output?follow=false")
        assert one.error("DELETE", f"keeps/{path}?force=true") == ""
    assert untouched(outside)
    assert (outside / "precious").read_text() == "{}"


def test_a_directory_within_a_keep_is_not_the_hosts_to_delete(hosts: Make) -> None:
    one = hosts()
    keep = one.launch()
    (one.keeps / keep / "mine").mkdir()
    (one.keeps / keep / "mine" / "precious").write_text("")
    assert one.error("DELETE", f"keeps/{keep}?force=true") == "not-removed"
    assert one.states()[keep] != "running"
    assert (one.keeps / keep / "mine" / "precious").exists()
    (one.keeps / keep / "mine" / "precious").unlink()
    (one.keeps / keep / "mine").rmdir()
    until(lambda: one.states() == {}, "the removal to be tried again", 20)


@pytest.mark.parametrize("where", ["", "keeps", "aside"])
def test_keeps_of_a_directory_that_others_can_write_to_are_not_served(hosts: Make, where: str) -> None:
    one = hosts()
    one.daemon.end()
    path = one.daemon.state / where
    path.chmod(0o770)
    assert b"others can write" in refused(one)
    path.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(path, 65534, -1)
        assert b"belongs to user 65534" in refused(one)
        os.chown(path, 0, -1)
    one.daemon.start()


@pytest.mark.parametrize("where", ["keeps", "aside"])
def test_a_link_in_the_place_of_a_directory_is_refused(hosts: Make, outside: Path, where: str) -> None:
    one = hosts()
    one.daemon.end()
    (one.daemon.state / where).rename(one.daemon.state / "before")
    (one.daemon.state / where).symlink_to(outside)
    assert b"not a directory but a link" in refused(one)
    assert untouched(outside)
    (one.daemon.state / where).unlink()


def refused(one: Host) -> bytes:
    """Return the error of a daemon that does not start."""
    command = [*ENARX, "host", "serve", "--socket", f"{one.daemon.home}/other.sock", "--state", str(one.daemon.state)]
    found = subprocess.run(command, capture_output=True, timeout=30, env=environment(one.daemon.home))
    assert found.returncode == 125
    assert b"Traceback" not in found.stderr
    return found.stderr


@pytest.mark.parametrize("umask", ["000", "077", "177"])
def test_modes_whatever_the_umask(home: Path, umask: str) -> None:
    from tests.e2e.harness import Daemon

    before = os.umask(int(umask, 8))
    daemon = Daemon(home)
    try:
        daemon.start()
        keep = Host(daemon).launch()
        for path in (daemon.state, daemon.state / "keeps", daemon.state / "aside", daemon.state / "keeps" / keep):
            assert path.stat().st_mode & 0o777 == 0o700
        assert (daemon.state / "keeps" / keep / "record.json").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
        daemon.clean()


NUMBER = "memory"
BAD: dict[str, Callable[[dict[str, Any]], str]] = {
    "empty": lambda value: "",
    "binary": lambda value: "\x00\xff",
    "deep": lambda value: "[" * 60_000,
    "deep object": lambda value: '{"a":' * 30_000,
    "huge": lambda value: json.dumps({**value, "kind": "x" * 200_000}),
    "another Keep's": lambda value: json.dumps({**value, "id": "0" * 16}),
    "a path": lambda value: json.dumps({**value, "id": "../outside"}),
    "a key too few": lambda value: json.dumps({k: v for k, v in value.items() if k != "disk"}),
    "a key too many": lambda value: json.dumps({**value, "more": 1}),
    "text": lambda value: json.dumps({**value, NUMBER: "1"}),
    "true": lambda value: json.dumps({**value, NUMBER: True}),
    "negative": lambda value: json.dumps({**value, NUMBER: -1}),
    "large": lambda value: json.dumps({**value, NUMBER: 1 << 200}),
    "thousands of digits": lambda value: json.dumps(value).replace(str(value[NUMBER]), "9" * 5000, 1),
    "not a number": lambda value: json.dumps({**value, "created": float("nan")}),
    "infinite": lambda value: json.dumps({**value, "created": float("inf")}),
    "processes": lambda value: json.dumps({**value, "processes": [1, 2]}),
    "process 0": lambda value: json.dumps({**value, "processes": {**value["processes"], "keep": [0, 0]}}),
    "all processes": lambda value: json.dumps({**value, "processes": {**value["processes"], "keep": [-1, 0]}}),
    "tenant": lambda value: json.dumps({**value, "tenant": ["uid:0"]}),
    "list": lambda value: "[]",
}


def test_bad_records_are_set_aside_named_and_not_fatal(hosts: Make) -> None:
    one = hosts()
    keeps = {name: one.launch() for name in BAD}
    good = one.launch()
    for keep in keeps.values():
        one.call("POST", f"keeps/{keep}/stop")
    until(lambda: all(not (one.keeps / keep / "sock").exists() for keep in keeps.values()), "all to have ended")
    one.daemon.end()
    for name, keep in keeps.items():
        path = one.keeps / keep / "record.json"
        path.write_text(BAD[name](json.loads(path.read_text())))
    one.daemon.start()
    assert one.states() == {good: "running"}
    until(lambda: os.listdir(one.keeps) == [good], "the bad ones to be set aside", 20)
    assert {path.name.split(".")[0] for path in (one.daemon.state / "aside").iterdir()} == set(keeps.values())
    assert {line["keep"] for line in logged(one, "record-unreadable")} == set(keeps.values())
    assert {line["keep"] for line in logged(one, "set-aside")} == set(keeps.values())
    assert "Traceback" not in one.daemon.log.read_text()


@pytest.mark.parametrize("text", ["", "[" * 60_000, '{"state": 7}', '{"state":"ended","scratch":"/dev/shm/../../etc"}'])
def test_a_supervisors_bad_words_cost_no_keep(hosts: Make, text: str) -> None:
    one = hosts()
    keep = one.launch()
    one.call("POST", f"keeps/{keep}/stop")
    until(lambda: not (one.keeps / keep / "sock").exists(), "the supervisor to be gone")
    one.daemon.end()
    (one.keeps / keep / "meta.json").write_text(text)
    one.daemon.start()
    assert one.states() == {keep: "lost"}
    assert one.call("GET", f"keeps/{keep}")["state"] == "lost"
    assert one.error("DELETE", f"keeps/{keep}") == ""
    assert os.listdir(one.keeps) == []


def test_a_number_that_is_another_processs_by_now_is_not_killed(hosts: Make) -> None:
    one = hosts()
    keep = one.launch()
    pids = one.processes(keep)
    one.daemon.end()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(map(is_gone, pids)), "both to be gone")
    with subprocess.Popen(["sleep", "60"]) as other:
        for name in ("record.json", "meta.json"):
            path = one.keeps / keep / name
            value = json.loads(path.read_text())
            value["processes"] = {**value["processes"], "keep": [other.pid, 1], "supervisor": [other.pid, 1]}
            path.write_text(json.dumps(value))
        one.daemon.start()
        assert one.states() == {keep: "lost"}
        assert one.error("DELETE", f"keeps/{keep}?force=true") == ""
        assert other.poll() is None
        other.kill()
