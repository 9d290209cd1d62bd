"""Run the real `enarx image` commands within the test process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from enarx.cli.main import main

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def measured(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs `enarx image measure` with options and returns its JSON; the command must succeed."""

    def run(*options: object) -> dict[str, Any]:
        code = main(["image", "measure", "--json", *map(str, options)])
        out, err = capsys.readouterr()
        assert code == 0, err
        value: dict[str, Any] = json.loads(out)
        return value

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """A function that runs `enarx image` with arguments and returns the exit code and the error's code."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["image", *map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)["error"]["code"]

    return run
