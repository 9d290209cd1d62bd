"""What a guest sees of its name and of its files, and the options that limit it."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
import wasmtime

from enarx.formats.package import FIXED_TIME
from tests.e2e.harness import enarx, run
from tests.programs import module

REPORT = """(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 256) ".fileemptysub")
  (func $write (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $time (param $name i32) (param $size i32)
    (if (call $stat (i32.const 3) (i32.const 0) (local.get $name) (local.get $size) (i32.const 512))
      (then (call $exit (i32.const 70))))
    (call $write (i32.const 560) (i32.const 8)))
  (func (export "_start")
    (call $time (i32.const 256) (i32.const 1)) (call $time (i32.const 257) (i32.const 4))
    (call $time (i32.const 261) (i32.const 5)) (call $time (i32.const 266) (i32.const 3))
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (drop (call $args (i32.const 1024) (i32.const 4096)))
    (call $write (i32.const 4096) (i32.load (i32.const 20)))))"""
"""Prints the modification times of its directory and of three entries, 8 bytes each, then its arguments."""


@pytest.fixture
def report(home: Path) -> list[str | Path]:
    """The options and the path of REPORT."""
    data = home / "data"
    (data / "sub").mkdir(parents=True)
    (data / "file").write_bytes(b"content")
    (data / "empty").write_bytes(b"")
    for name, time in (("file", 1_700_000_000_123_456_789), ("empty", 7), ("sub", 1_600_000_000_000_000_001)):
        os.utime(data / name, ns=(5, time))
    path = home / "report.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm(REPORT)))
    return ["--dir", f"{data}::/data", path]


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ((), [FIXED_TIME] * 4),
        (("--times", "fixed"), [FIXED_TIME] * 4),
        (("--times", "keep"), [FIXED_TIME, 1_700_000_000_123_456_789, 7, 1_600_000_000_000_000_001]),
    ],
)
def test_times(home: Path, report: list[str | Path], options: tuple[str, ...], times: list[int]) -> None:
    found = run(home, *options, *report)
    assert found.returncode == 0, found.stderr.decode()
    assert list(struct.unpack("<4Q", found.stdout[:32])) == times


def test_equal_data_has_one_digest_unless_times_count(home: Path, report: list[str | Path]) -> None:
    def digest(*options: str) -> bytes:
        return enarx(home, "package", "digest", "--salt", home / "salt", *options, *report, check=True).stdout

    before, kept = digest(), digest("--times", "keep")
    os.utime(home / "data" / "file", (1, 1))
    assert digest() == before
    assert digest("--times", "keep") != kept
    (home / "data" / "file").chmod(0o755)
    assert digest() != before


@pytest.mark.parametrize(("options", "name"), [((), b"report.wasm"), (("--argv0", "other"), b"other")])
def test_name(home: Path, report: list[str | Path], options: tuple[str, ...], name: bytes) -> None:
    found = run(home, *options, *report, "--", "first", "second")
    assert found.stdout[32:] == name + b"\0first\0second\0"


@pytest.mark.parametrize(
    ("options", "guest", "code", "said"),
    [
        (("--time", "300ms"), "spin", 124, b"time limit"),
        (("--memory", "32MiB"), "hog", 134, b"at a limit of 32 MiB"),
        (("--fuel", "100000"), "spin", 134, b"fuel"),
        (("--disk", "1EiB"), "hello", 125, b"limits.disk"),
        (("--memory", "much"), "hello", 125, b"hint: as 64MiB"),
        (("--time", "soon"), "hello", 125, b"limits.time"),
        (("--fuel", "1e6"), "hello", 125, b"limits.fuel"),
        (("--time", "20s", "--memory", "1MiB", "--fuel", "100000", "--disk", "0"), "hello", 0, b"attestation: trusted"),
    ],
)
def test_limits(home: Path, options: tuple[str, ...], guest: str, code: int, said: bytes) -> None:
    path = home / "guest.wasm"
    path.write_bytes(module(guest))
    found = run(home, *options, path)
    assert (found.returncode, said in found.stderr) == (code, True), found.stderr.decode()
    assert b"Traceback" not in found.stderr


def test_options_override_the_file(home: Path) -> None:
    (home / "guest.wasm").write_bytes(module("spin"))
    (home / "Enarx.toml").write_text('limits.time = "1h"')
    assert run(home, "--time", "300ms", home / "guest.wasm").returncode == 124


def test_an_invalid_module_has_a_message_of_one_line(home: Path) -> None:
    (home / "guest.wasm").write_bytes(module("hello")[:-3])
    found = run(home, home / "guest.wasm")
    assert found.returncode in (125, 126)
    assert b"Caused by" not in found.stderr
    assert b"?" not in found.stderr
