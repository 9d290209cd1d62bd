"""Vectors of launch measurements, kept beside the real evidence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.main import main

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def vectors(evidence_dir: Path) -> Path:
    """The folder of the vectors; a skip where it is absent, a failure where it must not be."""
    path = evidence_dir.parent / "measurement"
    if not path.is_dir():
        said = f"no measurement vectors at {path}"
        if os.environ.get("ENARX_REQUIRE_EVIDENCE"):
            pytest.fail(said)
        pytest.skip(said)
    return path


@pytest.fixture
def measured(capsys: pytest.CaptureFixture[str]) -> Run:
    """`enarx image measure` with these options, as JSON; it must not fail."""

    def run(*options: object) -> dict[str, Any]:
        code = main(["image", "measure", "--json", *map(str, options)])
        out, err = capsys.readouterr()
        assert code == 0, err
        value: dict[str, Any] = json.loads(out)
        return value

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`enarx image` with these words: exit code and the code of the error."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["image", *map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)["error"]["code"]

    return run
