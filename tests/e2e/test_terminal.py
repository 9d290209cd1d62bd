"""`enarx run --tty` at a real terminal, and Ctrl-C at any moment of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import wasmtime

from tests.e2e.harness import ENARX, environment, left, run, until
from tests.e2e.terminal import CTRL_C, CTRL_D, Terminal
from tests.programs import module

PROMPTER = """(module
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 256) "? ")
  (data (i32.const 260) "got ")
  (data (i32.const 268) "ready\\n")
  (func $write (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $kind (param $fd i32)
    (drop (call $stat (local.get $fd) (i32.const 64)))
    (i32.store8 (i32.const 300) (i32.add (i32.load8_u (i32.const 64)) (i32.const 48)))
    (call $write (i32.const 300) (i32.const 1)))
  (func (export "_start") (local $n i32)
    (call $kind (i32.const 0)) (call $kind (i32.const 1)) (call $kind (i32.const 2))
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (drop (call $environ_get (i32.const 1024) (i32.const 4096)))
    (call $write (i32.const 4096) (i32.load (i32.const 20)))
    (call $write (i32.const 268) (i32.const 6))
    (block $end (loop $more
      (call $write (i32.const 256) (i32.const 2))
      (i32.store (i32.const 0) (i32.const 8192)) (i32.store (i32.const 4) (i32.const 1000))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $end (i32.eqz (local.tee $n (i32.load (i32.const 8)))))
      (call $write (i32.const 260) (i32.const 4))
      (call $write (i32.const 8192) (local.get $n))
      (br $more)))))"""
"""Prints the kinds of its descriptors 0 to 2 and its environment, then prompts for lines and repeats each."""


@pytest.fixture
def prompter(home: Path) -> Path:
    path = home / "prompter.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm(PROMPTER)))
    return path


def terminal(home: Path, *arguments: str | Path, columns: int = 80, lines: int = 24) -> Terminal:
    command = [*ENARX, "run", "--simulate", *map(str, arguments)]
    return Terminal(command, environment(home), columns=columns, lines=lines)


def test_a_dialogue(home: Path, prompter: Path) -> None:
    with terminal(home, "--tty", prompter, columns=101, lines=33) as screen:
        before = screen.expect("ready\r\n? ")
        assert before.endswith("222LINES=33\0COLUMNS=101\0")
        screen.type("on")
        time.sleep(0.2)
        assert "got" not in screen.shown, "the terminal keeps a line until it ends"
        screen.type("\x7fe line\n")
        screen.expect("got oe line\r\n? ")
        screen.type(CTRL_D)
        assert screen.wait() == 0


def test_variables_win_over_the_terminals_size(home: Path, prompter: Path) -> None:
    with terminal(home, "--tty", "--env", "COLUMNS=7", prompter, lines=33) as screen:
        assert screen.expect("ready").endswith("222LINES=33\0COLUMNS=7\0")
        screen.type(CTRL_D)
        assert screen.wait() == 0


def test_no_terminal_without_being_asked_for(home: Path, prompter: Path) -> None:
    with terminal(home, prompter) as screen:
        assert screen.expect("ready")[-3:].count("2") == 0
        screen.type("a line\n")
        screen.expect("got a line\r\n")
        screen.type(CTRL_D)
        assert screen.wait() == 0


def test_a_terminal_that_is_a_pipe(home: Path, prompter: Path) -> None:
    """Then it has no size, and the workload prompts nevertheless."""
    found = run(home, "--tty", prompter, stdin=b"piped\n")
    assert found.stdout == b"222ready\n? got piped\n? "


def test_ctrl_c_at_a_prompt(home: Path, prompter: Path) -> None:
    with terminal(home, "--tty", prompter) as screen:
        screen.expect("ready\r\n? ")
        screen.type("half a line" + CTRL_C)
        assert screen.wait() == 130
        assert "Traceback" not in screen.shown
    until(lambda: not left(home), "everything to be gone")


def test_a_terminal_that_hangs_up(home: Path, prompter: Path) -> None:
    with terminal(home, "--tty", prompter) as screen:
        screen.expect("ready\r\n? ")
    until(lambda: not left(home), "everything to be gone")


def test_detached_jobs_have_no_terminal(home: Path, prompter: Path) -> None:
    command = [*ENARX, "deploy", "--simulated-root", "root.pub", "--detach", "--tty", str(prompter)]
    found = subprocess.run(command, capture_output=True, env=environment(home), timeout=60)
    assert found.returncode == 125
    assert b"--tty" in found.stderr


def _interrupted(home: Path, delay: float, *arguments: str | Path) -> str:
    """Send SIGINT to all processes of a run, `delay` seconds after it first wrote to `home`; returns its stderr.

    Until then the interpreter itself may still be starting, and SIGINT would end it as any other program.
    """
    command = [*ENARX, "run", "--simulate", *map(str, arguments)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, start_new_session=True, env=environment(home), **streams) as process:
        assert process.stderr is not None
        until((home / "state").exists, "the command to start")
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read().decode()
        assert process.wait(30) == 130, (delay, said)
    return said


def test_ctrl_c_at_many_moments(home: Path) -> None:
    """From the start of the command to the run: it always ends with 130, and says nothing about its own code."""
    slow = home / "slow.wasm"
    slow.write_bytes(module("slow"))
    for i in range(16):
        own = home / str(i)
        own.mkdir()
        said = _interrupted(own, 0.06 * i, slow)
        assert "Traceback" not in said, said
        assert "Exception" not in said, said
    until(lambda: not left(home), "everything to be gone")


def test_ctrl_c_while_a_directory_is_read(home: Path) -> None:
    (home / "data").mkdir()
    with open(home / "data" / "big", "wb") as file:
        file.truncate(64 << 30)
    (home / "hello.wasm").write_bytes(module("hello"))
    said = _interrupted(home, 1, "--dir", f"{home}/data::/data", home / "hello.wasm")
    assert "Traceback" not in said
    until(lambda: not left(home), "everything to be gone")


def test_ctrl_c_while_the_module_is_compiled(home: Path) -> None:
    """Half a million functions take a compiler many seconds."""
    path = home / "large.wasm"
    path.write_bytes(large_module())
    with terminal(home, path) as screen:
        screen.expect("attestation: trusted")
        time.sleep(1)
        screen.type(CTRL_C)
        assert screen.wait(20) == 130
        assert "Traceback" not in screen.shown
    until(lambda: not left(home), "everything to be gone")


def large_module() -> bytes:
    """A module of 400,000 small functions and an empty `_start`."""
    count, body = 400_000, b"\x08\x00\x41\x00\x41\x01\x6a\x1a\x0b"

    def number(value: int) -> bytes:
        data = bytearray()
        while value > 127:
            data.append(value & 127 | 128)
            value >>= 7
        return bytes((*data, value))

    def section(kind: int, data: bytes) -> bytes:
        return bytes((kind,)) + number(len(data)) + data

    return (
        b"\0asm\1\0\0\0"
        + section(1, b"\x01\x60\x00\x00")
        + section(3, number(count) + bytes(count))
        + section(7, b"\x01\x06_start\x00\x00")
        + section(10, number(count) + body * count)
    )
