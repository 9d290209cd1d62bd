"""What a terminal shows while a start takes long: one line after two seconds, and none for programs."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wasmtime

from enarx.cli import console, session
from enarx.cli.attestation import Verdict
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import run
from tests.wasm import custom

SOON = 0.05
BIG = 26 << 20


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "SLOW", SOON)


def job(*, begun: bool = False) -> Any:
    return SimpleNamespace(output=SimpleNamespace(begun=begun))


def shown(capsys: pytest.CaptureFixture[str], *wanted: str) -> bool:
    """Whether exactly these lines appear; none, if there are none within six times the delay."""
    text, end = "", time.monotonic() + (10 if wanted else 6 * SOON)
    while time.monotonic() < end and (not wanted or not text):
        time.sleep(SOON / 5)
        captured = capsys.readouterr()
        assert captured.out == ""
        text += captured.err
    return text.splitlines() == [*wanted]


def test_a_line_after_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    notice = console.Notice("working...")
    assert capsys.readouterr().err == ""
    assert shown(capsys, "working...")
    notice.end()


def test_no_line_once_the_work_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    console.Notice("working...").end()
    console.Notice("working...", lambda: True)
    assert shown(capsys)


def test_packaging(capsys: pytest.CaptureFixture[str]) -> None:
    with session.Stages(quiet=False) as stages:
        stages("packaging", 0)
        assert shown(capsys, "packaging...")
        stages("launching", BIG)
        assert shown(capsys)


def test_compiling(capsys: pytest.CaptureFixture[str]) -> None:
    with session.Stages(quiet=False) as stages:
        stages("compiling", BIG)
        stages.waiting(job())
        assert shown(capsys, "compiling (27 MB)...")


@pytest.mark.parametrize(("size", "begun"), [(BIG, True), (100_000, False)])
def test_no_line_for_a_small_module_or_one_that_runs(
    size: int, begun: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with session.Stages(quiet=False) as stages:
        stages("compiling", size)
        stages.waiting(job(begun=begun))
        assert shown(capsys)


def test_no_line_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with session.Stages(quiet=True) as stages:
        stages("packaging", 0)
        stages("compiling", BIG)
        stages.waiting(job())
        assert shown(capsys)
    verdict = Verdict(explain=False)
    assert session.hooks(verdict, stages).progress is None
    assert session.hooks(verdict, session.Stages(quiet=False)).progress is not None


def test_no_line_after_a_start_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), session.Stages(quiet=False) as stages:
        stages("packaging", 0)
        raise RuntimeError
    assert shown(capsys)


def silent(size: int) -> bytes:
    """A guest that is silent for three seconds, and whose module has at least `size` bytes."""
    text = """(module
      (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 3000000000))
        (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 8)))))"""
    return bytes(wasmtime.wat2wasm(text)) + custom("padding", bytes(size))


def test_the_command_says_so_for_a_large_module_alone(home: Path) -> None:
    for size, options, wanted in ((1 << 20, (), True), (1 << 20, ("--json",), False), (0, (), False)):
        (home / "silent.wasm").write_bytes(silent(size))
        found = run(home, *options, home / "silent.wasm")
        assert found.returncode == 0
        assert (b"compiling (1 MB)...\n" in found.stderr) == wanted, found.stderr
        assert found.stdout == b""
