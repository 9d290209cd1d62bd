"""A cold `enarx run`, everything included, against the wasmtime command on the same module."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench import peers
from bench.run import HELLO, Finding, paired, timed, unseen
from tests.e2e.harness import ENARX, environment


def run(runs: int, directory: Path) -> list[Finding]:
    env = environment(directory)

    def ours(i: int) -> float:
        command = [*ENARX, "run", "--simulate", str(unseen(HELLO, directory, i))]
        return timed(lambda: subprocess.run(command, check=True, capture_output=True, env=env))

    def peer(i: int) -> float:
        module = unseen(HELLO, directory, i + runs)
        return timed(lambda: peers.run(module))

    mine, theirs = paired(runs, ours, peer)
    return [Finding("cold run", mine * 1e3, theirs * 1e3, "ms", mine / theirs, "at most 9", "wasmtime run")]
