"""How a guest's end is told, for each way to end."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from enarx.formats.bounds import TABLE_COUNT, TABLE_ELEMENTS
from enarx.formats.config import Limits
from enarx.keep.guest import wasi
from enarx.record import replace
from tests.wat import secret_reader

EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
ORDER = wasi.Order(args=("main.wasm",), env=(), dirs=(), limits=Limits(memory=16 << 20))


def run(text: str | bytes, order: wasi.Order = ORDER, /, **changes: Any) -> dict[str, Any]:
    module = text if isinstance(text, bytes) else bytes(wasmtime.wat2wasm(f"(module {text})"))
    order = replace(order, limits=replace(order.limits, **changes))
    counts = order.limits.fuel is not None
    stage = wasi.Stage(fuel=counts)
    return wasi.Guest(stage, wasi.compile_module(module, fuel=counts)).run(order)


@pytest.mark.parametrize("code", [0, 1, 31, 125])
def test_exit(code: int) -> None:
    result = run(f'{EXIT} (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {code})))')
    assert result == {"cause": "exit", "code": code, "memory": 65536}


def test_returning_is_exit_0() -> None:
    assert run('(func (export "_start"))') == {"cause": "exit", "code": 0, "memory": 0}


def test_a_trap_has_a_backtrace_innermost_first() -> None:
    result = run('(func $inner unreachable) (func (export "_start") (call $inner))')
    assert result["cause"] == "trap"
    assert "code" not in result
    assert "unreachable" in result["message"]
    assert [line.split(" at ")[0] for line in result["backtrace"].splitlines()] == ["0: inner", "1: <function 1>"]


def test_a_backtrace_is_bounded() -> None:
    result = run('(func $deep (call $deep)) (func (export "_start") (call $deep))')
    assert result["cause"] == "trap"
    assert "call stack exhausted" in result["message"]
    assert 0 < len(result["backtrace"]) <= wasi.BACKTRACE_MAX


def test_time() -> None:
    start = time.monotonic()
    result = run('(func (export "_start") (loop $on (br $on)))', time=0.1)
    assert result["cause"] == "time"
    assert 0.1 <= time.monotonic() - start < 20


def test_time_counts_in_the_start_function_too() -> None:
    result = run('(func $s (loop $on (br $on))) (start $s) (func (export "_start"))', time=0.1)
    assert result["cause"] == "time"


def test_fuel() -> None:
    spin = '(func (export "_start") (loop $on (br $on)))'
    result = run(spin, fuel=10_000)
    assert result["cause"] == "trap"
    assert "fuel" in result["message"]
    assert run('(func (export "_start"))', fuel=10_000)["cause"] == "exit"


def test_exiting_in_the_start_function_counts() -> None:
    result = run(
        f'{EXIT} (memory (export "memory") 1) (func $s (call $exit (i32.const 7))) (start $s) (func (export "_start") unreachable)'
    )
    assert result == {"cause": "exit", "code": 7}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('(func (export "main"))', "the module exports no function _start"),
        ('(global (export "_start") i32 (i32.const 0))', "the module exports no function _start"),
        ('(import "env" "unknown" (func)) (func (export "_start"))', "the module cannot be started: .*unknown"),
        ('(memory 512) (func (export "_start"))', "it needs 32 MiB of memory at least, limits.memory is 16 MiB"),
        (
            f'(table {TABLE_ELEMENTS + 1} funcref) (func (export "_start"))',
            f"a table has at most {TABLE_ELEMENTS} elements",
        ),
        (
            "(table 1 funcref) " * (TABLE_COUNT + 1) + '(func (export "_start"))',
            f"a module has at most {TABLE_COUNT} tables",
        ),
    ],
)
def test_a_module_that_cannot_be_started(text: str, message: str) -> None:
    result = run(text)
    assert result["cause"] == "failed"
    assert re.search(message, result["message"]), result


def test_memory_that_is_refused_is_named_as_the_probable_cause() -> None:
    grows = """
      (memory (export "memory") 1)
      (func (export "_start")
        (loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable)"""
    result = run(grows)
    assert result["cause"] == "trap"
    assert "probably memory: 15 MiB in use at a limit of 16 MiB" in result["message"]
    assert result["memory"] <= 16 << 20


def test_a_start_function_with_another_type() -> None:
    result = run('(func (export "_start") (param i32))')
    assert result["cause"] == "trap"


@pytest.mark.parametrize("module", [b"", b"\0asm", b"\0asm\1\0\0\0\xff", b"not a module"])
def test_what_is_not_a_module_does_not_compile(module: bytes) -> None:
    with pytest.raises(wasmtime.WasmtimeError):
        wasi.compile_module(module, fuel=False)


@pytest.mark.parametrize(
    "text",
    [
        "(memory i64 1)",
        "(memory 1) (memory 1)",
        "(memory 1 1 shared)",
        "(type (struct))",
        "(func (param (ref func)))",
    ],
)
def test_proposals_without_users_are_off(text: str) -> None:
    with pytest.raises(wasmtime.WasmtimeError):
        wasi.compile_module(bytes(wasmtime.wat2wasm(f"(module {text})")), fuel=False)


def test_code_of_another_engine_is_refused() -> None:
    code = wasi.compile_module(b"\0asm\1\0\0\0", fuel=True)
    with pytest.raises(wasmtime.WasmtimeError):
        wasi.Guest(wasi.Stage(fuel=False), code)


def test_arguments_environment_and_directories(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text("a secret")
    order = replace(ORDER, dirs=((str(tmp_path), "/run/secrets", False),))
    assert run(secret_reader(), order)["cause"] == "exit"
    assert capfd.readouterr().out == "a secret"
    sizes = """
      (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (drop (call $args (i32.const 0) (i32.const 4)))
        (drop (call $env (i32.const 8) (i32.const 12)))
        (call $exit (i32.add (i32.mul (i32.const 10) (i32.load (i32.const 0))) (i32.load (i32.const 8)))))"""
    order = replace(ORDER, args=("main.wasm", "a", "b"), env=(("A", "1"),))
    assert run(EXIT + sizes, order)["code"] == 31


def test_times_are_in_milliseconds() -> None:
    assert 999 <= wasi.milliseconds_since(time.monotonic() - 1) < 5000
