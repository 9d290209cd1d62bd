"""What a terminal shows while a start takes long: one line after two seconds, and none for programs."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from enarx.cli import console, session
from enarx.cli.attestation import Verdict

SOON = 0.05
BIG = 26 << 20


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "SLOW", SOON)


def job(*, begun: bool = False) -> Any:
    return SimpleNamespace(output=SimpleNamespace(begun=begun))


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    time.sleep(6 * SOON)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_a_line_after_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    notice = console.Notice("working...")
    assert capsys.readouterr().err == ""
    assert shown(capsys) == ["working..."]
    notice.end()


def test_no_line_once_the_work_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    console.Notice("working...").end()
    console.Notice("working...", lambda: True)
    assert shown(capsys) == []


def test_packaging(capsys: pytest.CaptureFixture[str]) -> None:
    with session.Stages(quiet=False) as stages:
        stages("packaging", 0)
        assert shown(capsys) == ["packaging..."]
        stages("launching", BIG)
        assert shown(capsys) == []


def test_compiling(capsys: pytest.CaptureFixture[str]) -> None:
    with session.Stages(quiet=False) as stages:
        stages("compiling", BIG)
        stages.waiting(job())
        assert shown(capsys) == ["compiling (27 MB)..."]


@pytest.mark.parametrize(("size", "begun"), [(BIG, True), (100_000, False)])
def test_no_line_for_a_small_module_or_one_that_runs(
    size: int, begun: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with session.Stages(quiet=False) as stages:
        stages("compiling", size)
        stages.waiting(job(begun=begun))
        assert shown(capsys) == []


def test_no_line_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with session.Stages(quiet=True) as stages:
        stages("packaging", 0)
        stages("compiling", BIG)
        stages.waiting(job())
        assert shown(capsys) == []
    verdict = Verdict(explain=False)
    assert session.hooks(verdict, stages).progress is None
    assert session.hooks(verdict, session.Stages(quiet=False)).progress is not None


def test_no_line_after_a_start_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), session.Stages(quiet=False) as stages:
        stages("packaging", 0)
        raise RuntimeError
    assert shown(capsys) == []
