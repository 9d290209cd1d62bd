"""Modules of `wasi_unstable`. Preview 1, which a module may import beside it, is the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime

from enarx.formats.config import Limits
from enarx.keep.guest import unstable, wasi
from enarx.record import replace

ORDER = wasi.Order(args=("main.wasm",), env=(), dirs=(), limits=Limits(memory=16 << 20))
CONTENT = b"0123456789"

SHAPES = {
    "fd_seek": "i32 i64 i32 i32",
    "fd_tell": "i32 i32",
    "fd_filestat_get": "i32 i32",
    "path_filestat_get": "i32 i32 i32 i32 i32",
    "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32",
    "poll_oneoff": "i32 i32 i32 i32",
    "clock_time_get": "i32 i64 i32",
}
IMPORTS = "".join(
    f'(import "{module}" "{name}" (func ${prefix}{name} (param {types}) (result i32)))'
    for name, types in SHAPES.items()
    for module, prefix in (("wasi_unstable", ""), ("wasi_snapshot_preview1", "new_"))
)
CHECKS = """
  (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "file")
  (func $wanted (param $line i32) (param $true i32)
    (if (i32.eqz (local.get $true)) (then (call $exit (local.get $line)))))
  (func $same (param $line i32) (param $a i32) (param $b i32) (param $size i32)
    (loop $more
      (call $wanted (local.get $line) (i32.eq (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b))))
      (local.set $a (i32.add (local.get $a) (i32.const 1)))
      (local.set $b (i32.add (local.get $b) (i32.const 1)))
      (br_if $more (local.tee $size (i32.sub (local.get $size) (i32.const 1))))))
  (func $open (result i32)
    (call $wanted (i32.const 99) (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 4)
      (i32.const 0) (i64.const 6) (i64.const 0) (i32.const 0) (i32.const 16))))
    (i32.load (i32.const 16)))
"""


def run(body: str, root: Path | None = None, prelude: str = IMPORTS + CHECKS) -> dict[str, Any]:
    """Run `_start` with this body; a check that fails is the exit code."""
    text = f'(module {prelude} (func (export "_start") (local $fd i32) {body}))'
    code, adapter = wasi.compile_module(bytes(wasmtime.wat2wasm(text)), fuel=False)
    dirs = () if root is None else ((str(root), "/d", True),)
    return wasi.Guest(wasi.Stage(fuel=False), code, adapter).run(replace(ORDER, dirs=dirs))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / "another name").hardlink_to(tmp_path / "file")
    return tmp_path


@pytest.mark.parametrize(("whence", "offset", "place"), [(2, 3, 3), (0, 4, 6), (1, -1, 9)])
def test_whence(root: Path, whence: int, offset: int, place: int) -> None:
    """Set, current, end: the offset is 2 before, and both kinds of functions see one file."""
    result = run(
        f"""(local.set $fd (call $open))
        (call $wanted (i32.const 1) (i32.eqz (call $new_fd_seek (local.get $fd) (i64.const 2) (i32.const 0) (i32.const 24))))
        (call $wanted (i32.const 2)
          (i32.eqz (call $fd_seek (local.get $fd) (i64.const {offset}) (i32.const {whence}) (i32.const 32))))
        (call $wanted (i32.const 3) (i64.eq (i64.load (i32.const 32)) (i64.const {place})))
        (call $wanted (i32.const 4) (i32.eqz (call $fd_tell (local.get $fd) (i32.const 40))))
        (call $same (i32.const 5) (i32.const 32) (i32.const 40) (i32.const 8))""",
        root,
    )
    assert result["code"] == 0, result


@pytest.mark.parametrize("whence", [3, -1, 1 << 31])
def test_no_whence(root: Path, whence: int) -> None:
    result = run(
        f"""(local.set $fd (call $open))
        (call $exit (call $fd_seek (local.get $fd) (i64.const 0) (i32.const {whence}) (i32.const 32)))""",
        root,
    )
    assert result["code"] == unstable.INVALID


STATUS = """
  (call $same (i32.const 2) (i32.const 1032) (i32.const 2056) (i32.const 17))
  (call $wanted (i32.const 3) (i32.eq (i32.load (i32.const 1052)) (i32.const 2)))
  (call $same (i32.const 4) (i32.const 1052) (i32.const 2080) (i32.const 4))
  (call $same (i32.const 5) (i32.const 1056) (i32.const 2088) (i32.const 32))
  (call $wanted (i32.const 6) (i64.eq (i64.load (i32.const 1056)) (i64.const 10)))
  (call $wanted (i32.const 7) (i64.eq (i64.load (i32.const 1024)) (i64.const -2)))
  (call $wanted (i32.const 8) (i64.eq (i64.load (i32.const 1088)) (i64.const -3)))
"""
"""The status of 56 bytes at 1032 says what that of 64 bytes at 2056 says, and nothing around it was changed."""

AROUND = "(i64.store (i32.const 1024) (i64.const -2)) (i64.store (i32.const 1088) (i64.const -3))"


def test_status_of_a_descriptor(root: Path) -> None:
    result = run(
        f"""(local.set $fd (call $open)) {AROUND}
        (call $wanted (i32.const 1) (i32.eqz (call $fd_filestat_get (local.get $fd) (i32.const 1032))))
        (call $wanted (i32.const 1) (i32.eqz (call $new_fd_filestat_get (local.get $fd) (i32.const 2056)))) {STATUS}""",
        root,
    )
    assert result["code"] == 0, result


def test_status_of_a_path(root: Path) -> None:
    named = "(i32.const 3) (i32.const 0) (i32.const 8) (i32.const 4)"
    result = run(
        f"""{AROUND}
        (call $wanted (i32.const 1) (i32.eqz (call $path_filestat_get {named} (i32.const 1032))))
        (call $wanted (i32.const 1) (i32.eqz (call $new_path_filestat_get {named} (i32.const 2056)))) {STATUS}""",
        root,
    )
    assert result["code"] == 0, result


def test_a_status_fits_at_the_end_of_memory(root: Path) -> None:
    assert run("(call $exit (call $fd_filestat_get (call $open) (i32.const 65480)))", root)["code"] == 0
    result = run("(call $exit (call $fd_filestat_get (call $open) (i32.const 65488)))", root)
    assert (result["cause"], "out of bounds" in result["message"]) == ("trap", True)


@pytest.mark.parametrize("at", [0, -8, 1 << 31])
def test_a_status_outside_memory(root: Path, at: int) -> None:
    result = run(f"(call $exit (call $fd_filestat_get (call $open) (i32.const {at})))", root)
    assert (result["cause"], "out of bounds" in result["message"]) == ("trap", True)


def test_errors_change_nothing(root: Path) -> None:
    result = run(
        f"""{AROUND} (i64.store (i32.const 1032) (i64.const -4))
        (call $wanted (i32.const 1) (i32.eq (call $fd_filestat_get (i32.const 77) (i32.const 1032)) (i32.const 8)))
        (call $wanted (i32.const 2) (i64.eq (i64.load (i32.const 1032)) (i64.const -4)))
        (call $wanted (i32.const 3) (i64.eq (i64.load (i32.const 1024)) (i64.const -2)))""",
        root,
    )
    assert result["code"] == 0, result


def test_poll(root: Path) -> None:
    """A clock and a descriptor: 56 bytes each, with an identifier before the clock's fields. A file is ready at once."""
    result = run(
        """(local.set $fd (call $open))
        (i64.store (i32.const 1024) (i64.const 41)) (i32.store8 (i32.const 1032) (i32.const 0))
        (i64.store (i32.const 1040) (i64.const -7)) (i32.store (i32.const 1048) (i32.const 1))
        (i64.store (i32.const 1056) (i64.const 3600000000000))
        (i64.store (i32.const 1080) (i64.const 42)) (i32.store8 (i32.const 1088) (i32.const 1))
        (i32.store (i32.const 1096) (local.get $fd))
        (memory.copy (i32.const 4096) (i32.const 1024) (i32.const 112))
        (call $wanted (i32.const 1)
          (i32.eqz (call $poll_oneoff (i32.const 1024) (i32.const 2048) (i32.const 2) (i32.const 3072))))
        (call $wanted (i32.const 2) (i32.eq (i32.load (i32.const 3072)) (i32.const 1)))
        (call $wanted (i32.const 3) (i64.eq (i64.load (i32.const 2048)) (i64.const 42)))
        (call $wanted (i32.const 4) (i32.eqz (i32.load16_u (i32.const 2056))))
        (call $wanted (i32.const 5) (i32.eq (i32.load8_u (i32.const 2058)) (i32.const 1)))
        (call $same (i32.const 6) (i32.const 1024) (i32.const 4096) (i32.const 112))""",
        root,
    )
    assert result["code"] == 0, result


def test_sleep() -> None:
    result = run(
        """(call $wanted (i32.const 1) (i32.eqz (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8))))
        (i32.store (i32.const 1048) (i32.const 1)) (i64.store (i32.const 1056) (i64.const 50000000))
        (call $wanted (i32.const 2)
          (i32.eqz (call $poll_oneoff (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072))))
        (call $wanted (i32.const 3) (i32.eqz (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 16))))
        (call $wanted (i32.const 4) (i64.ge_u
          (i64.sub (i64.load (i32.const 16)) (i64.load (i32.const 8))) (i64.const 50000000)))"""
    )
    assert result["code"] == 0, result


@pytest.mark.parametrize("subscriptions", [65528, -64])
def test_subscriptions_outside_memory(subscriptions: int) -> None:
    body = f"(call $exit (call $poll_oneoff (i32.const {subscriptions}) (i32.const 0) (i32.const 2) (i32.const 64)))"
    assert run(body)["code"] == unstable.INVALID


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize("subscriptions", [0, -1])
def test_no_subscription_and_more_than_memory_holds(subscriptions: int, count: int) -> None:
    body = (
        f"(call $exit (call $poll_oneoff (i32.const {subscriptions}) (i32.const 0) (i32.const {count}) (i32.const 64)))"
    )
    assert run(body)["code"] == unstable.INVALID


def test_a_start_function_may_call() -> None:
    start = "(func $first (call $exit (call $fd_seek (i32.const 1) (i64.const 0) (i32.const 5) (i32.const 8)))) (start $first)"
    assert run("", prelude=IMPORTS + CHECKS + start)["code"] == unstable.INVALID


def test_without_a_memory() -> None:
    only = '(import "wasi_unstable" "fd_filestat_get" (func $status (param i32 i32) (result i32)))'
    result = run("(drop (call $status (i32.const 1) (i32.const 8)))", prelude=only)
    assert (result["cause"], "memory" in result["message"]) == ("trap", True)


def test_a_function_that_never_was() -> None:
    result = run("", prelude='(import "wasi_unstable" "fork" (func (result i32)))')
    assert result["cause"] == "failed"
    assert "wasi_unstable::fork" in result["message"]


def test_other_modules_get_no_adapter() -> None:
    assert wasi.compile_module(b"\0asm\1\0\0\0", fuel=False)[1] == b""


def test_a_keep_without_the_profile_names_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "(call $exit (i32.const 7))"
    assert run(body)["code"] == 7
    monkeypatch.setattr(wasi, "UNSTABLE", None)
    result = run(body)
    assert result["cause"] == "failed"
    assert "wasi_unstable" in result["message"]
