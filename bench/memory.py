"""Private memory of an idle Keep, against an idle Python process, and Keeps launched per second."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.run import Finding
from bench.tenant import Tenant, daemon
from tests.e2e.harness import Daemon

KEEPS = 50


def run(runs: int, directory: Path) -> list[Finding]:
    with daemon(directory, "--max-keeps", str(KEEPS + 1)) as host:
        tenant = Tenant(host)
        tenant.client.launch(kind="process", package=None, memory=1 << 20, compile=1 << 20, disk=1 << 20)
        before = _private(host)
        start = time.perf_counter()
        for _ in range(KEEPS):
            tenant.client.launch(kind="process", package=None, memory=1 << 20, compile=1 << 20, disk=1 << 20)
        rate = KEEPS / (time.perf_counter() - start)
        each = (_private(host) - before) / KEEPS
    alone, starting = _python(min(runs, 20))
    return [
        Finding(
            "private memory of an idle Keep", each, alone, "MiB", each / alone, "as measured", "an idle python -I -S"
        ),
        Finding("Keeps launched", rate, starting, "per s", rate / starting, "as measured", "python -I -S started"),
    ]


def _private(host: Daemon) -> float:
    """MiB of private memory of the daemon's processes: all that name its state directory, and its Keeps."""
    total = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes()
            if b"enarx" in line and b"bench" not in line:
                total += _of(int(name))
        except OSError:
            continue
    assert host.process is not None
    return total / 1024


def _of(pid: int) -> int:
    """The private memory of a process in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


def _python(runs: int) -> tuple[float, float]:
    """The private memory of an idle interpreter in MiB, and interpreters started per second."""
    command = [sys.executable, "-I", "-S", "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        alone = _of(process.pid) / 1024
    start = time.perf_counter()
    for _ in range(runs):
        subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return alone, runs / (time.perf_counter() - start)
