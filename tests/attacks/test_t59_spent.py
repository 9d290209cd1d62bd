"""T59: a full or read-only disk and a full table of descriptors on the host's own machine; and a full
disk on the tenant's, which costs no result."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attacks.abuse import Host, descriptors, is_gone, raw
from tests.e2e.harness import ENARX, Daemon, enarx, environment, until
from tests.programs import module

BODY = {"memory": 1 << 20, "disk": 1 << 20}


def mount(*arguments: str) -> None:
    found = subprocess.run(["mount", *arguments], capture_output=True)
    if found.returncode:
        pytest.skip(f"nothing can be mounted here: {found.stderr.decode().strip()}")


@pytest.fixture
def small() -> Iterator[Host]:
    """Return a host whose state is on a disk of two megabytes."""
    with tempfile.TemporaryDirectory(prefix="enarx-") as home:
        disk = Path(home) / "host"
        disk.mkdir(mode=0o700)
        mount("-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(disk))
        daemon = Daemon(Path(home))
        try:
            yield Host(daemon.start())
            daemon.clean()
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(path: Path) -> None:
    with (path / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def living(one: Host) -> list[int]:
    """Return the supervisors and Keeps of this daemon."""
    found = subprocess.run(["pgrep", "-f", str(one.daemon.state)], capture_output=True, text=True).stdout
    return [pid for pid in map(int, found.split()) if not is_gone(pid)]


def test_a_full_disk(small: Host) -> None:
    keep = small.launch()
    before = len(living(small))
    fill(small.daemon.state)
    for _ in range(3):
        assert small.error("POST", "keeps", BODY) == "disk-full"
    assert small.states() == {keep: "running"}
    assert os.listdir(small.keeps) == [keep]
    assert small.error("POST", f"keeps/{keep}/input", raw(1, b"no challenge")) == ""
    assert small.error("POST", f"keeps/{keep}/stop") == ""
    until(lambda: not (small.keeps / keep / "sock").exists(), "the supervisor to say its last word")
    assert small.states() == {keep: "ended"}
    small.restart()
    assert small.states() == {keep: "ended"}
    assert small.error("DELETE", f"keeps/{keep}") == ""
    (small.daemon.state / "filler").unlink()
    assert small.launch()
    until(lambda: len(living(small)) == before, "nothing to be left of what was refused")


def test_a_state_directory_that_is_read_only(hosts: Callable[..., Host]) -> None:
    one = hosts()
    one.daemon.end()
    state = str(one.daemon.state)
    mount("--bind", state, state)
    try:
        one.daemon.start()
        keep, other = one.launch(), one.launch()
        mount("-o", "remount,ro,bind", state)
        assert one.error("POST", "keeps", BODY) == "state-read-only"
        assert one.error("POST", f"keeps/{other}/stop") == ""
        assert one.error("DELETE", f"keeps/{keep}?force=true") == "state-read-only"
        assert set(one.states()) == {keep, other}
        mount("-o", "remount,rw,bind", state)
        until(lambda: set(one.states()) == {other}, "the removal to be tried again", 20)
    finally:
        one.daemon.end()
        subprocess.run(["umount", "-l", state], check=True)
    one.daemon.start()
    assert one.error("DELETE", f"keeps/{other}?force=true") == ""
    assert os.listdir(one.keeps) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into processes that are not dumpable")
def test_a_daemon_without_descriptors(hosts: Callable[..., Host]) -> None:
    one = hosts()
    keep = one.launch()
    assert one.daemon.process is not None
    pid = one.daemon.process.pid
    time.sleep(0.5)  # connections that have ended are closed by then
    used = max(map(int, descriptors(pid))) + 1
    idle = [one.client.connect() for _ in range(used - len(descriptors(pid)))]
    for connection in idle:
        connection.connect()
    until(lambda: len(descriptors(pid)) >= used, "the gaps to be filled")
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 24, hard))  # room for connections that ask
    try:
        assert accepted(lambda: one.error("POST", "keeps", BODY)) == "descriptors"
        assert accepted(lambda: one.error("POST", f"keeps/{keep}/input", b"")) == "descriptors"
        assert accepted(one.states) == {keep: "running"}
        assert accepted(lambda: one.error("POST", f"keeps/{keep}/stop")) == ""
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        for connection in idle:
            connection.close()
    until(lambda: one.states() == {keep: "ended"}, "the end to be seen")
    assert one.launch()
    assert one.error("DELETE", f"keeps/{keep}") == ""


def accepted(call: Callable[[], object]) -> object:
    """Return the answer that comes once a descriptor is free for the connection."""
    found: list[object] = []

    def tried() -> bool:
        try:
            found.append(call())
        except ConnectionError:
            return False
        return found[-1] != "crowded"

    until(tried, "the connection to be accepted", 10)
    return found[-1]


def test_a_supervisor_without_descriptors(hosts: Callable[..., Host]) -> None:
    """The daemon neither ends nor spins, and serves again as soon as a descriptor is free."""
    one = hosts()
    keep = one.launch()
    pid, _ = one.processes(keep)
    used = max(map(int, descriptors(pid))) + 1
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, hard))
    path = f"/proc/{os.getpid()}/fd"
    directory = os.open(one.keeps / keep, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(f"{path}/{directory}/sock")
        until(lambda: cpu(pid) >= 0, "it to be there")
        before = cpu(pid)
        until(lambda: one.error("GET", f"keeps/{keep}") == "", "what is known of the Keep")
        assert cpu(pid) - before < 0.5
    os.close(directory)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert until(lambda: "frames" in one.call("GET", f"keeps/{keep}"), "the supervisor to answer")
    assert one.states() == {keep: "running"}


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


FULL = "/dev/full"


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """Every command reports a full disk as such, and exits alike if even stderr is full."""
    (tmp_path / "hello.wasm").write_bytes(module("hello"))
    for command in (["run", "--simulate", str(tmp_path / "hello.wasm")], ["platform"]):
        for stdout, stderr in ((FULL, os.devnull), (FULL, FULL), (FULL, str(tmp_path / "said"))):
            with Path(stdout).open("wb") as out, Path(stderr).open("wb") as err:
                found = subprocess.run([*ENARX, *command], stdout=out, stderr=err, env=environment(tmp_path))
            assert found.returncode == 125
        said = (tmp_path / "said").read_text()
        assert "error: output cannot be written: No space left on device\n" in said
        assert "fault of the program" not in said


def test_a_receipt_that_cannot_be_written_costs_no_result(tmp_path: Path) -> None:
    """Keep and session are only removed after the receipt was written."""
    (tmp_path / "hello.wasm").write_bytes(module("hello"))
    daemon = Daemon(tmp_path).start()
    try:
        where = ("--host", daemon.url)
        trust = ("--simulated-root", daemon.root)
        found = enarx(tmp_path, "deploy", *where, *trust, "--receipt", FULL, tmp_path / "hello.wasm")
        assert found.returncode == 125
        (keep,) = (
            word for line in found.stderr.decode().splitlines() if "keep logs" in line for word in line.split()[-1:]
        )
        again = enarx(tmp_path, "keep", "logs", keep, *where, "--receipt", tmp_path / "receipt")
        assert (again.returncode, again.stdout) == (0, b"hello\n")
        assert enarx(tmp_path, "result", "verify", tmp_path / "receipt", *trust).returncode == 0
    finally:
        daemon.end()
