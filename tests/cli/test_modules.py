"""The module on a command line: where it comes from, and how a command refuses it before anything is sent."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import ENARX, enarx, environment, run
from tests.programs import BODIES, module
from tests.wasm import MEM, imported, limits, program

TEXT = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 5))))
"""


def refused(home: Path, *arguments: object) -> str:
    """The error and the hint of a command that ends with 125, having sent nothing."""
    found = enarx(home, *arguments)
    assert found.returncode == 125
    assert found.stdout == b""
    assert b"attestation" not in found.stderr
    lines = found.stderr.decode().splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith("warning")] == ["error", "hint"]
    return "\n".join(lines)


@pytest.fixture
def missing_start(home: Path) -> Path:
    path = home / "library.wasm"
    path.write_bytes(module("no-start"))
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--simulate"),
        ("deploy", "--simulated-root", "r.pub", "--host", "http://127.0.0.1:9"),
        ("package", "digest"),
        ("package", "show"),
    ],
)
def test_every_command_refuses_at_once(home: Path, missing_start: Path, command: tuple[str, ...]) -> None:
    (home / "r.pub").write_text("no key")
    text = refused(home, *(home / word if word == "r.pub" else word for word in command), missing_start)
    assert f"{missing_start}: no program: it exports main, wanted the function _start" in text


def test_no_keep_is_launched_for_it(home: Path, missing_start: Path) -> None:
    """The control: the same command with a program reaches the Keep."""
    assert "error: " in refused(home, "run", "--simulate", missing_start)
    missing_start.write_bytes(module("hello"))
    assert run(home, missing_start).stdout == b"hello\n"


def test_a_module_on_stdin(home: Path) -> None:
    found = run(home, "-", stdin=module("hello"))
    assert (found.returncode, found.stdout) == (0, b"hello\n")
    assert run(home, "-", stdin=module("cat")).stdout == b""  # its own stdin is empty
    digest = enarx(home, "package", "digest", "--salt", home / "salt", "-", stdin=module("cat"), check=True).stdout
    (home / "main.wasm").write_bytes(module("cat"))
    assert enarx(home, "package", "digest", "--salt", home / "salt", home / "main.wasm").stdout == digest


def test_nothing_on_stdin(home: Path) -> None:
    found = enarx(home, "run", "--simulate", "-", stdin=b"")
    assert (found.returncode, b"the module: an empty file" in found.stderr) == (125, True)


def test_a_terminal_on_stdin(home: Path) -> None:
    keyboard, terminal = pty.openpty()
    command = [*ENARX, "package", "digest", "-"]
    found = subprocess.run(command, stdin=terminal, capture_output=True, env=environment(home), timeout=60)
    os.close(keyboard)
    os.close(terminal)
    assert (found.returncode, b"pipe it in" in found.stderr) == (125, True)


def test_the_text_format(home: Path) -> None:
    (home / "exit.wat").write_text(TEXT)
    assert run(home, home / "exit.wat").returncode == 5
    assert run(home, "-", stdin=TEXT.encode()).returncode == 5


def test_errors_in_text_have_a_place(home: Path) -> None:
    (home / "exit.wat").write_text(TEXT.replace("call", "cal"))
    assert f"{home / 'exit.wat'}:4:28: unknown operator" in refused(home, "run", "--simulate", home / "exit.wat")


def test_text_of_a_module_that_cannot_run(home: Path) -> None:
    (home / "env.wat").write_text('(module (import "env" "abort" (func)) (func (export "_start")))')
    assert "imports env.abort" in refused(home, "run", "--simulate", home / "env.wat")


def test_text_without_an_assembler(home: Path) -> None:
    """As where only `enarx` is installed, without its extra."""
    (home / "exit.wat").write_text(TEXT)
    code = "import sys; sys.modules['wasmtime'] = None; from enarx.cli.main import script; script()"
    command = [sys.executable, "-c", code, "package", "digest", str(home / "exit.wat")]
    found = subprocess.run(command, capture_output=True, env=environment(home), timeout=60)
    assert (found.returncode, b"pip install 'enarx[host]'" in found.stderr) == (125, True)
    binary = [*command[:-1], str(home / "g.wasm")]
    (home / "g.wasm").write_bytes(module("cat"))
    assert subprocess.run(binary, capture_output=True, env=environment(home), timeout=60).returncode == 0


def test_memory_of_the_configuration_counts(home: Path) -> None:
    (home / "g.wasm").write_bytes(program(memories=[limits(2000)]))
    assert enarx(home, "package", "digest", home / "g.wasm").returncode == 0
    (home / "Enarx.toml").write_text('[limits]\nmemory = "100MiB"\n')
    text = refused(home, "run", "--simulate", home / "g.wasm")
    assert "needs 125 MiB of memory at least, limits.memory is 100 MiB" in text


@pytest.mark.parametrize("command", ["run", "deploy"])
def test_arguments_belong_behind_two_dashes(home: Path, command: str) -> None:
    found = enarx(home, command, "x.wasm", "foo")
    assert (found.returncode, b"follow --" in found.stderr) == (125, True)
    assert b"follow --" not in enarx(home, "platform", "foo").stderr


def test_names_from_a_module_drive_no_terminal(home: Path) -> None:
    (home / "x.wasm").write_bytes(program(imports=[imported("\x1b[2J", "\u202e", MEM, limits(1))]))
    text = refused(home, "run", "--simulate", home / "x.wasm")
    assert "\x1b" not in text
    assert r"\x1b[2J.\u202e" in text


def test_json_has_the_error(home: Path, missing_start: Path) -> None:
    found = enarx(home, "run", "--simulate", "--json", missing_start)
    assert found.returncode == 125
    assert b'"code": "wasm-start"' in found.stdout


def test_guests_that_are_refused_here_are_few() -> None:
    assert {"no-start", "invalid"} < set(BODIES)
