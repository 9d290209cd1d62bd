"""The programs of the guide for Python, as they are printed, against a real daemon."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import PATIENCE, Daemon, environment
from tests.house.test_invariants import ROOT
from tests.programs import module
from tests.wat import reporter

PROGRAMS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/guides/python.md").read_text(), re.DOTALL | re.MULTILINE)
EXPECTED = (
    "hello\n 0\n",
    "line 0\nline 1\nline 2\n",
    "/out 1 12\nall is well\n\n",
    r"[0-9a-f]{16} trusted\n",
    "hello\n\n",
    r"line \d\nline \d\n\[0, 0\]\n",
)
"""What each prints."""


def test_each_has_what_it_prints() -> None:
    assert len(PROGRAMS) == len(EXPECTED)


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_it_runs_as_printed(home: Path, daemon: Daemon, number: int) -> None:
    place = home / "program"
    place.mkdir()
    for name in ("hello", "cat"):
        (place / f"{name}.wasm").write_bytes(module(name))
    (place / "report.wasm").write_bytes(reporter())
    (place / "root.pub").symlink_to(daemon.root)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAMS[number]],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(home) | {"ENARX_HOST": daemon.url},
    )
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran.stderr
    assert re.fullmatch(EXPECTED[number], ran.stdout), ran.stdout
    assert "SIMULATED" in ran.stderr
    assert daemon.keeps() == {}
