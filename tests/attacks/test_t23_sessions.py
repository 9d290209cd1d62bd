"""T23: a host chooses its ids so that they collide with the tenant's jobs at another host."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attacks.rogue import Rogue, answer, says
from tests.e2e.conftest import daemon, home, wasm  # noqa: F401  # fixtures
from tests.e2e.harness import Daemon, enarx, session_file
from tests.tenant.test_tenant import saved

Wasm = Callable[[str], Path]


@pytest.fixture
def job(daemon: Daemon, wasm: Wasm) -> str:
    """A detached job at a real host A. Only its session can read its result."""
    found = daemon.deploy("--detach", wasm("slow"))
    assert found.returncode == 0, found.stderr
    return found.stdout.decode().strip()


@pytest.fixture
def rogue(job: str) -> Iterator[Rogue]:
    """Another host B, whose answers name A's job."""

    def script(request: bytes) -> bytes:
        line = request.split(b"\r\n")[0]
        if line.startswith(b"POST /v1/prune"):
            return says({"removed": [job]})
        if line.startswith(b"DELETE"):
            return answer(b"", "204 No Content")
        if b"/output" in line:
            return answer(b"")
        return says({"id": job, "keeps": [{"id": job, "kind": "process", "state": "ended"}], "frames": 1})

    found = Rogue(script)
    yield found
    found.close()


def reads(daemon: Daemon, job: str) -> None:
    """The job's result can still be read, at A."""
    found = enarx(daemon.home, "keep", "attach", job)
    assert (found.returncode, found.stdout) == (0, b"tick\n" * 10), found.stderr


def test_a_launch_at_b_that_answers_with_as_id(daemon: Daemon, job: str, rogue: Rogue, wasm: Wasm) -> None:
    before = session_file(daemon.home, job).read_bytes()
    found = enarx(daemon.home, "deploy", "--host", rogue.url, "--simulated-root", daemon.root, wasm("hello"))
    assert found.returncode == 127
    assert any(request.startswith(b"DELETE") for request in rogue.requests), "the failed launch was taken back"
    assert session_file(daemon.home, job).read_bytes() == before
    reads(daemon, job)


def test_prune_and_rm_at_b(daemon: Daemon, job: str, rogue: Rogue) -> None:
    before = session_file(daemon.home, job).read_bytes()
    assert enarx(daemon.home, "keep", "prune", "--host", rogue.url).returncode == 0
    assert enarx(daemon.home, "keep", "rm", job, "--host", rogue.url).returncode == 0
    assert session_file(daemon.home, job).read_bytes() == before
    listed = enarx(daemon.home, "keep", "list", "--json", "--host", rogue.url)
    assert [keep["ours"] for keep in json.loads(listed.stdout)] == [False]
    reads(daemon, job)


def test_one_id_at_two_hosts(daemon: Daemon, job: str, rogue: Rogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both hosts have a session under one id: the user must name the host, and only that session is used and forgotten."""
    path = session_file(daemon.home, job)
    fields = json.loads(path.read_text())
    monkeypatch.setenv("XDG_STATE_HOME", str(daemon.home / "state"))
    other = Path(saved(job, rogue.url).save())
    found = enarx(daemon.home, "keep", "inspect", job)
    assert found.returncode == 125
    assert fields["url"].encode() in found.stderr
    assert rogue.url.encode() in found.stderr
    assert enarx(daemon.home, "keep", "prune", "--host", rogue.url).returncode == 0
    assert (path.exists(), other.exists()) == (True, False)
    reads(daemon, job)


def test_a_bad_file_is_passed_over(daemon: Daemon, job: str) -> None:
    bad = session_file(daemon.home, job).parent / "0.json"
    bad.write_text("[" * 10_000)
    found = enarx(daemon.home, "keep", "attach", job)
    assert (found.returncode, found.stdout) == (0, b"tick\n" * 10)
    assert str(bad).encode() in found.stderr


def test_only_what_was_saved_is_forgotten(daemon: Daemon, job: str, wasm: Wasm) -> None:
    """An attached deploy to the same host leaves the other job's session alone."""
    assert daemon.deploy(wasm("hello")).returncode == 0
    reads(daemon, job)
    assert enarx(daemon.home, "keep", "rm", job).returncode == 0
    assert list((daemon.home / "state" / "enarx" / "sessions").iterdir()) == []
