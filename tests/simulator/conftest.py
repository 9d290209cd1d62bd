from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simulator.machine import Machine, tree

Start = Callable[..., Machine]


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(tmp_path_factory.mktemp("code"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts hardware; all of it ends with the test."""
    started: list[Machine] = []

    def one(code: Path) -> Machine:
        started.append(Machine(code, tmp_path))
        return started[-1]

    yield one
    for machine in started:
        machine.end()


@pytest.fixture
def machine(code: Path, start: Start) -> Machine:
    return start(code)
