from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Daemon
from tests.programs import module

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what is in the background with SIGINT ignored


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: Unix sockets lie under it."""
    with tempfile.TemporaryDirectory(prefix="enarx-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture
def wasm(home: Path) -> Callable[[str], Path]:
    """The path of a guest of tests.programs."""

    def write(name: str) -> Path:
        path = home / f"{name}.wasm"
        path.write_bytes(module(name))
        return path

    return write


@pytest.fixture
def config(home: Path) -> Callable[[str], Path]:
    """The path of a configuration."""

    def write(text: str) -> Path:
        path = home / "Test.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def daemon(home: Path) -> Iterator[Daemon]:
    found = Daemon(home)
    yield found.start()
    found.clean()
