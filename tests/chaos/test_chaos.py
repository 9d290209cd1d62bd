"""Random kills, connections and requests, a small disk and few descriptors, with Keeps running: nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 20


@pytest.mark.timeout(300)
def test_chaos() -> None:
    seed = os.environ.get("ENARX_CHAOS_SEED") or str(int.from_bytes(os.urandom(4), "big"))
    command = [sys.executable, "-m", "tests.chaos", str(SECONDS), seed]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(found.stdout)
    assert found.returncode == 0, found.stdout + found.stderr
