from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.handed import Party
from tests.attacks.hostile import Scene
from tests.attacks.hostile import scene as make


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return make(tmp_path)


@pytest.fixture
def party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Party:
    return Party(tmp_path, monkeypatch, capsys)
