"""Random kills, connections, requests, a small disk and few descriptors, with Keeps running: nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.run import run
from tests.e2e.conftest import home  # noqa: F401  # a fixture

SECONDS = 20


@pytest.mark.timeout(300)
def test_chaos(home: Path) -> None:
    seed = int(os.environ.get("ENARX_CHAOS_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
    wrong = run(home, SECONDS, seed)
    assert not wrong, "\n".join([f"seed {seed}", *wrong])
