from __future__ import annotations

from pathlib import Path

import pytest

from enarx.tenant import delivering
from tests.attacks.hostile import Scene
from tests.attacks.hostile import scene as make


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to wait between two tries."""
    monkeypatch.setattr(delivering, "FIRST_PAUSE", 0.001)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return make(tmp_path)
