"""`enarx inspect`: the outline of a module, and the verdict of the tenant's side on it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from enarx.cli.main import main
from tests.programs import module
from tests.wasm import MEM, custom, export, functype, imported, leb, limits, name, program, table, vector

PRODUCERS = custom(
    "producers",
    vector(
        [
            name("language") + vector([name("C11") + name("")]),
            name("processed-by") + vector([name("clang") + name("19.1"), name("lld") + name("")]),
        ]
    ),
)


def inspect(path: Path, data: bytes, *options: str) -> int:
    path.write_bytes(data)
    return main(["inspect", *options, str(path)])


def test_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = program(
        types=[functype(b"\x7f")],
        imports=[imported("wasi_snapshot_preview1", "proc_exit")],
        memories=[limits(2, 9)],
        tables=[table(limits(7, 7))],
        exports=[export("_start", index=1), export("memory", MEM), export("", index=1)],
        extra=PRODUCERS + custom("name"),
    )
    assert inspect(tmp_path / "x.wasm", data) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        f"size       {len(data)} bytes",
        f"SHA-256    {hashlib.sha256(data).hexdigest()}",
        "imports    wasi_snapshot_preview1: proc_exit",
        'exports    _start, memory (memory), ""',
        "memory     2 pages of 64 KiB at least, at most 9",
        "table      7 elements",
        "functions  1",
        "sections   producers, name",
        "made by    C11, clang 19.1, lld",
        "a Keep starts it",
    ]


def test_a_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(tmp_path / "x.wasm", module("no-start")) == 125
    captured = capsys.readouterr()
    assert "exports    memory (memory), main" in captured.out
    assert "no program: it exports main" in captured.err
    assert "a Keep starts it" not in captured.out


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(tmp_path / "x.wasm", program(memories=[limits(3)]), "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["starts"], shown["error"], shown["memories"]) == (True, None, [{"minimum": 3, "maximum": None}])
    assert shown["exports"] == [{"name": "_start", "kind": "function"}]
    assert inspect(tmp_path / "x.wasm", program(memories=[limits(40_000)]), "--json") == 125
    shown = json.loads(capsys.readouterr().out)
    assert (shown["starts"], shown["error"]["code"], shown["memories"][0]["minimum"]) == (False, "wasm-memory", 40_000)


@pytest.mark.parametrize("data", [b"", b"text", b"\0asm\r\0\1\0", program()[:-1], program() + custom("") * 100_001])
def test_what_has_no_outline(tmp_path: Path, data: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(tmp_path / "x.wasm", data) == 125
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")


def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(tmp_path / "x.wat", b'(module (func (export "_start")))') == 0
    assert "exports    _start" in capsys.readouterr().out


def test_a_strange_section_of_producers_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (b"\xff", leb(5), vector([name("language") + leb(9)])):
        assert inspect(tmp_path / "x.wasm", program(extra=custom("producers", content))) == 0
        assert "made by" not in capsys.readouterr().out
