from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attacks.abuse import Host
from tests.attacks.hostile import Scene
from tests.attacks.hostile import scene as make
from tests.e2e.conftest import home, wasm
from tests.e2e.harness import Daemon

__all__ = ["home", "wasm"]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return make(tmp_path)


@pytest.fixture
def host(home: Path) -> Iterator[Callable[..., Host]]:
    """Makes hosts with options of `enarx host serve`."""
    made: list[Daemon] = []

    def start(*options: str) -> Host:
        made.append(Daemon(home, *options))
        return Host(made[-1].start())

    yield start
    for daemon in made:
        daemon.clean()
