from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import Daemon, Launcher, end_all


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory that is removed afterwards, with every process whose command line names it."""
    path = Path(tempfile.mkdtemp(prefix="enarx-host-"))
    yield path
    end_all(str(path))
    shutil.rmtree(path)


@pytest.fixture
def launcher(root: Path) -> Iterator[Launcher]:
    found = Launcher(root)
    yield found
    found.close()


@pytest.fixture
def daemon(root: Path) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons on one state directory, and kills them afterwards."""
    made: list[Daemon] = []

    def make(**options: Any) -> Daemon:
        made.append(Daemon(root, **options))
        return made[-1]

    yield make
    for one in made:
        for connection in one.sockets:
            connection.close()
        if one.process.poll() is None:
            one.kill()
