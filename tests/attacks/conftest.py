from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from enarx.tenant import delivering
from tests.attacks.abuse import Host
from tests.attacks.hostile import Scene
from tests.attacks.hostile import scene as make
from tests.attacks.proxy import Proxy
from tests.attacks.real import Machine
from tests.e2e.conftest import home, wasm
from tests.e2e.harness import Daemon

if TYPE_CHECKING:
    from tests.attacks.handed import Party

__all__ = ["home", "wasm"]


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to wait between two tries."""
    monkeypatch.setattr(delivering, "FIRST_PAUSE", 0.001)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return make(tmp_path)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Hardware that launches real Keeps."""
    found = Machine(tmp_path / "machine")
    yield found
    found.close()


@pytest.fixture
def host(home: Path) -> Iterator[Proxy]:
    """A hostile host with a real daemon behind it."""
    daemon = Daemon(home).start()
    proxy = Proxy(daemon)
    yield proxy
    proxy.close()
    daemon.clean()


@pytest.fixture
def party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Party:
    from tests.attacks.handed import Party

    return Party(tmp_path, monkeypatch, capsys)


@pytest.fixture
def hosts(home: Path) -> Iterator[Callable[..., Host]]:
    """Makes hosts with options of `enarx host serve`."""
    made: list[Daemon] = []

    def start(*options: str) -> Host:
        made.append(Daemon(home, *options))
        return Host(made[-1].start())

    yield start
    for daemon in made:
        daemon.clean()
