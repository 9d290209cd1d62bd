"""Peak memory of a whole Keep that compiles or runs a bomb, against its bound; needs cgroups version 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.run import Finding
from tests import bombs
from tests.attacks.escaped import Peak, Tree
from tests.e2e.harness import run as enarx_run

LIMITS = 'memory = "64MiB"\ncompile = "256MiB"\ndisk = "1MiB"'
HOG = "held = []\nwhile True: held.append(bytes(1 << 24))"
UNLIMITED = ("keep/guest/runner.py", "    resource.setrlimit(resource.RLIMIT_DATA, (data, data))\n", "")

MODULES: dict[str, Callable[[], bytes]] = {
    "locals in loops": bombs.locals_in_loops,
    "branch tables": bombs.branch_tables,
    "a million functions": bombs.many_functions,
    "a growing table": bombs.growing_table,
    "all tables full": lambda: bombs.large_tables(4, 1 << 18),
}


def run(_: int, directory: Path) -> list[Finding]:
    """Each bomb runs once: the peak matters, not the time."""
    found = [_module(directory, name, make) for name, make in MODULES.items()]
    home = directory / "taken-over"
    home.mkdir()
    with Peak(home) as peak:
        Tree(home, UNLIMITED).run(HOG, LIMITS)
    return [*found, _finding("a runner taken over", peak)]


def _module(directory: Path, name: str, make: Callable[[], bytes]) -> Finding:
    home = directory / name.replace(" ", "-")
    home.mkdir()
    (home / "bomb.wasm").write_bytes(make())
    (home / "Enarx.toml").write_text(f"[limits]\n{LIMITS}\n")
    with Peak(home) as peak:
        enarx_run(home, home / "bomb.wasm")
    return _finding(name, peak)


def _finding(name: str, peak: Peak) -> Finding:
    memory, bound = peak.memory / (1 << 20), peak.bound / (1 << 20)
    return Finding(f"peak memory: {name}", memory, bound, "MiB", memory / bound, "1 at most", "the Keep's bound")
