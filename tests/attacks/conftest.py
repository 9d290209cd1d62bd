from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from enarx.tenant import delivering
from tests.attacks.hostile import Scene
from tests.attacks.hostile import scene as make
from tests.attacks.real import Machine


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
