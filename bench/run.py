"""The benchmarks. Each prints a value, a peer or a limit measured in the same run, and their ratio.

    python bench/run.py [NAME ...] [--runs N] [--deploys N]

Values are medians of N runs (20). Each run gets its own module, with a new custom section, so that no cache knows it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ROOT = Path(__file__).resolve().parent.parent
HELLO = ROOT / "examples/hello/hello.wasm"


@dataclass(frozen=True)
class Finding:
    """A result: `ours` and `peer` in `unit`, their `ratio`, and the target `wanted`."""

    name: str
    ours: float
    peer: float
    unit: str
    ratio: float
    wanted: str
    against: str


def unseen(module: Path, directory: Path, number: int) -> Path:
    """A copy of the module with a unique custom section."""
    text = f"{os.getpid()}-{number}-{time.time_ns()}".encode()
    section = bytes([len(b"x")]) + b"x" + text
    path = directory / f"unseen-{number}.wasm"
    path.write_bytes(module.read_bytes() + b"\0" + bytes([len(section)]) + section)
    return path


def timed(call: Callable[[], object]) -> float:
    """The duration of a call in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def paired(runs: int, ours: Callable[[int], float], peer: Callable[[int], float]) -> tuple[float, float]:
    """The medians of both, measured alternately so that noise affects both; a first round does not count."""
    ours(-1), peer(-1)
    found = [(ours(i), peer(i)) for i in range(runs)]
    return median(o for o, _ in found), median(p for _, p in found)


def main() -> int:
    """Run the named benchmarks, or all of them."""
    from bench import attestation, bombs, cold, detached, memory, sealing, steady, warm

    benches: dict[str, Callable[[int, Path], list[Finding]]] = {
        "cold": cold.run,
        "warm": warm.run,
        "steady": steady.run,
        "sealing": sealing.run,
        "memory": memory.run,
        "bombs": bombs.run,
        "detached": detached.run,
        "attestation": attestation.run,
    }
    arguments = sys.argv[1:]
    runs = int(arguments[arguments.index("--runs") + 1]) if "--runs" in arguments else 20
    names = [name for name in arguments if name in benches] or list(benches)
    findings = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="enarx-bench-") as directory:
            for finding in benches[name](runs, Path(directory)):
                findings.append(asdict(finding))
                print(
                    f"{finding.name:34} {finding.ours:10.2f} {finding.unit:9} {finding.against}: {finding.peer:.2f}"
                    f"   ratio {finding.ratio:.2f}   ({finding.wanted})",
                    flush=True,
                )
    if "--json" in arguments:
        print(json.dumps(findings, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
