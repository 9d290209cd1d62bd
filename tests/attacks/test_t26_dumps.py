"""T26: the memory of a tenant's command, with its keys and secrets, reaches the disk or another process of the user."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import daemon, home  # noqa: F401  # fixtures
from tests.e2e.harness import ENARX, Daemon, environment, until
from tests.programs import module

SECRET = b"canary-in-a-secret"
DUMPED, KILLED = 3, 2
"""CLD_DUMPED and CLD_KILLED of <signal.h>."""


def unlimited() -> None:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell has its background jobs ignore it
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def ends_by(process: subprocess.Popen[bytes], number: signal.Signals) -> int:
    process.send_signal(number)
    found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    process.wait()
    assert found is not None
    return found.si_code


def start(home: Path, *arguments: str, before: Callable[[], None] = unlimited) -> subprocess.Popen[bytes]:
    """`enarx run` with a secret, attached and waiting for its input."""
    (home / "cat.wasm").write_bytes(module("cat"))
    (home / "secret").write_bytes(SECRET)
    (home / "Enarx.toml").write_text("[secrets]\nkey = {}\n")
    (home / "cores").mkdir(exist_ok=True)
    return subprocess.Popen(
        [*ENARX, *arguments, "--secret", f"key=@{home}/secret", str(home / "cat.wasm")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=home / "cores",
        env=environment(home),
        preexec_fn=before,
    )


def serves(process: subprocess.Popen[bytes]) -> None:
    """The workload echoes its input, so the command is attached."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"here\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"here\n"


@pytest.fixture
def attached(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start(home, "run", "--simulate")
    with process:
        serves(process)
        yield process
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT])
def test_no_core(home: Path, attached: subprocess.Popen[bytes], number: signal.Signals) -> None:
    assert ends_by(attached, number) == KILLED
    assert list((home / "cores").iterdir()) == []


def test_cores_would_be_written(home: Path) -> None:
    """The control: another process under the same limits does dump core, if the system allows it at all."""
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=home, preexec_fn=unlimited
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if ends_by(process, signal.SIGABRT) != DUMPED:
            pytest.skip("this system writes no cores at all")


READ = "import sys; open(f'/proc/{sys.argv[1]}/mem', 'rb')"
PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19


def as_anybody() -> None:
    """Run in the child before it starts: drops root's right to read every process."""
    unlimited()
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0)


def readable(pid: int) -> bool:
    """Return what another process of the same user can read."""
    command = [sys.executable, "-c", READ, str(pid)]
    return subprocess.run(command, capture_output=True, preexec_fn=as_anybody).returncode == 0


def test_memory_cannot_be_read_by_the_user(home: Path) -> None:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=as_anybody) as other:
        assert other.stdout is not None
        other.stdout.readline()
        if not readable(other.pid):
            pytest.skip("this system lets no process read another's memory")
        other.kill()
    process = start(home, "run", "--simulate", before=as_anybody)
    with process:
        serves(process)
        assert not readable(process.pid)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def test_deploy_is_the_same(daemon: Daemon) -> None:
    arguments = ("deploy", "--host", daemon.url, "--simulated-root", daemon.root)
    process = start(daemon.home, *arguments)
    with process:
        serves(process)
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        (core,) = (line.split() for line in limits if line.startswith("Max core"))
        assert core[4:6] == ["0", "0"]
        assert ends_by(process, signal.SIGABRT) == KILLED
    until(lambda: list((daemon.home / "cores").iterdir()) == [], "nothing to be left")
