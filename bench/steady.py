"""Steady compute inside a Keep against the wasmtime command with epochs on; start-up is subtracted from both."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench import peers
from bench.run import ROOT, Finding, paired, timed
from tests.e2e.harness import ENARX, environment

MODULE = ROOT / "bench/modules/compute.wasm"
WORK = {"sha256": ("256", "1"), "mandelbrot": ("1200", "1")}
EPOCHS = ("-W", "timeout=600s")


def run(runs: int, directory: Path) -> list[Finding]:
    env = environment(directory)
    findings = []
    for name, (size, nothing) in WORK.items():

        def ours(_: int, name: str = name, size: str = size, nothing: str = nothing) -> float:
            def call(amount: str) -> object:
                command = [*ENARX, "run", "--simulate", str(MODULE), "--", name, amount]
                return subprocess.run(command, check=True, capture_output=True, env=env)

            return timed(lambda: call(size)) - timed(lambda: call(nothing))

        def peer(_: int, name: str = name, size: str = size, nothing: str = nothing) -> float:
            def call(amount: str) -> None:
                peers.run(MODULE, name, amount, options=EPOCHS)

            return timed(lambda: call(size)) - timed(lambda: call(nothing))

        mine, theirs = paired(max(3, runs // 4), ours, peer)
        findings.append(
            Finding(
                f"steady {name}", mine * 1e3, theirs * 1e3, "ms", mine / theirs, "1.00 within 3 %", "wasmtime, epochs"
            )
        )
    return findings
