from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import daemon, home, wasm  # noqa: F401  # fixtures
from tests.e2e.harness import until


@pytest.fixture(autouse=True)
def own_directories(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # the fixture
    """This process's sessions, keys and simulated root lie under `home`, where the daemon's tenant has them too."""
    for variable, name in (("STATE", "state"), ("CONFIG", "config"), ("CACHE", "cache")):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(home / name))
    for name in [name for name in os.environ if name.startswith("ENARX_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def nothing_left(home: Path) -> Iterator[Callable[[], None]]:  # the fixture
    """Waits until no host side of `enarx.run` is left; called once more when the test ends."""

    def check() -> None:
        until(lambda: not _host_sides(home), "every host side to be gone", 20)

    yield check
    check()


def _host_sides(home: Path) -> list[str]:
    """Processes whose command line names this home's simulator."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if f"{home}/state/enarx/simulated".encode() in line:
            found.append(name)
    return found
