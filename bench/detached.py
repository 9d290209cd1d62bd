"""Detached deploys without removal: the cost of each finished Keep for a daemon, and the slowdown over time.

`--deploys N` sets their number (5,000). The first fifth is compared with the last.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.run import HELLO, Finding
from bench.tenant import Tenant, daemon
from tests.e2e.harness import Daemon, until

DEPLOYS = 5000
PAGE = 100
WARM = 100
"""Deploys before the measurement, so that lazy imports are done."""


def run(_: int, directory: Path) -> list[Finding]:
    arguments = sys.argv[1:]
    count = int(arguments[arguments.index("--deploys") + 1]) if "--deploys" in arguments else DEPLOYS
    with daemon(directory, "--max-keeps", "20") as host:
        tenant = Tenant(host)
        for _ in range(WARM):
            _deploy(tenant)
        _settle(host)
        before, processes = _memory(host), _processes(host)
        seconds = [_deploy(tenant) for _ in range(count)]
        _settle(host)
        each = (_memory(host) - before) / count
        left = _processes(host) - processes
        page = _page(tenant)
        _prune(tenant, count + WARM)
    part = max(1, count // 5)
    first, last = _p99(seconds[:part]), _p99(seconds[-part:])
    return [
        Finding("daemon memory per finished Keep", each, 4.0, "KiB", each / 4, "at most 4 KiB", "the limit"),
        Finding("processes left by all of them", float(left), 0.0, "", float(left), "none", "before"),
        Finding("p99 of the last fifth's deploys", last * 1e3, first * 1e3, "ms", last / first, "at most 1.3", "first"),
        Finding(f"a page of {PAGE} Keeps", page * 1e3, 50.0, "ms", page / 0.05, "at most 50 ms", "the limit"),
    ]


def _deploy(tenant: Tenant) -> float:
    """Seconds of one deploy until the package is delivered; the wait for its end does not count."""
    start = time.perf_counter()
    keep, deployed = tenant.deploy(tenant.package(HELLO), lambda kind, data: None)
    taken = time.perf_counter() - start
    deployed.link.close()
    while not tenant.client.call("GET", f"/v1/keeps/{keep}/wait?timeout=30")["ended"]:
        continue
    return taken


def _page(tenant: Tenant) -> float:
    """Seconds for the slowest full page of the list."""
    slowest, after = 0.0, ""
    while True:
        start = time.perf_counter()
        page: Any = tenant.client.call("GET", f"/v1/keeps?limit={PAGE}&after={after}")
        slowest = max(slowest, time.perf_counter() - start)
        if page["next"] is None:
            return slowest
        after = page["next"]


def _prune(tenant: Tenant, count: int) -> None:
    removed: Any = tenant.client.call("POST", "/v1/prune")
    assert len(removed["removed"]) == count


def _settle(host: Daemon) -> None:
    until(lambda: not any(host.state.glob("keeps/*/sock")), "all supervisors to have ended")
    time.sleep(1)


def _memory(host: Daemon) -> float:
    """Private memory of the daemon in KiB."""
    assert host.process is not None
    lines = Path(f"/proc/{host.process.pid}/smaps_rollup").read_text().splitlines()
    return float(sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")))


def _processes(host: Daemon) -> int:
    """The number of processes below the daemon."""
    assert host.process is not None
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return sum(_is_below(pid, host.process.pid, parents) for pid in parents)


def _is_below(pid: int, top: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == top:
            return True
    return False


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]
