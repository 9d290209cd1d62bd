"""More real evidence through the command line: the verdict on each vector, and the messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.main import main
from tests.cli.test_evidence import REAL
from tests.controls import Control, Ran

VECTORS = [vector for real in REAL for vector in real.more]
FAILS = {name: checks for real in REAL for name, checks in real.fails.items()}


def verdict_on(
    more: Path, capsys: pytest.CaptureFixture[str], vector: str, given: tuple[str, ...], at: str
) -> tuple[int, dict[str, Any], str]:
    command = ["evidence", "verify", str(more / vector), "--authenticity-only", "--json", "--at", at]
    for name in given:
        option = "--trust-anchor" if name.startswith("+") else "--endorsements"
        root = more.with_name("evidence") if name.startswith("@") else more
        command += [option, str(root / name.lstrip("@+"))]
    code = main(command)
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def verified(
    more: Path, capsys: pytest.CaptureFixture[str], vector: str, given: tuple[str, ...], at: str
) -> tuple[int, dict[str, Any], str]:
    def run() -> Ran:
        code, value, err = verdict_on(more, capsys, vector, given, at)
        return Ran(code, json.dumps(value), err)

    if f"{vector}@{at}" not in FAILS:
        return verdict_on(more, capsys, vector, given, at)
    ran = Control(run).failing(*FAILS[f"{vector}@{at}"]).but()
    return ran.code, json.loads(ran.out), ran.err


@pytest.mark.parametrize(("vector", "given", "at", "code"), VECTORS, ids=[f"{v[0]}@{v[2]}" for v in VECTORS])
def test_authenticity(
    more: Path, capsys: pytest.CaptureFixture[str], vector: str, given: tuple[str, ...], at: str, code: int
) -> None:
    found, value, err = verified(more, capsys, vector, given, at)
    assert found == code, err
    assert value["status"] == ("authentic" if code == 0 else "not authentic")
