"""Time from a call in a running program to the first byte of output, with a warm pool."""

from __future__ import annotations

import time
from pathlib import Path

from bench import peers
from bench.run import HELLO, Finding, paired, timed, unseen
from bench.tenant import Tenant, daemon


def run(runs: int, directory: Path) -> list[Finding]:
    with daemon(directory, "--pool", "2") as host:
        tenant = Tenant(host)

        def ours(i: int) -> float:
            module = unseen(HELLO, directory, i)
            time.sleep(0.3)  # until the pool is full again
            first: list[float] = []
            start = time.perf_counter()
            keep, run = tenant.deploy(tenant.package(module), lambda *_: first.append(time.perf_counter()))
            run.serve()
            tenant.remove(keep)
            return first[0] - start

        def peer(i: int) -> float:
            module = unseen(HELLO, directory, i + runs)
            return timed(lambda: peers.run(module))

        mine, theirs = paired(runs, ours, peer)
    return [
        Finding("deploy into a warm pool", mine * 1e3, theirs * 1e3, "ms", mine / theirs, "at most 2", "wasmtime run")
    ]
