"""WASI preview 1 in a Keep is what it is on bare wasmtime, which is run first as the oracle."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import run
from tests.wasi.programs import FIXTURE, HERE, PROGRAMS, Program

BARE = """
import sys, wasmtime
path, root, argv, env = sys.argv[1], sys.argv[2], eval(sys.argv[3]), eval(sys.argv[4])
engine = wasmtime.Engine()
store, linker, wasi = wasmtime.Store(engine), wasmtime.Linker(engine), wasmtime.WasiConfig()
linker.define_wasi()
wasi.argv, wasi.env = ["main.wasm", *argv], env
wasi.inherit_stdin(); wasi.inherit_stdout(); wasi.inherit_stderr()
wasi.preopen_dir(root, "/")
store.set_wasi(wasi)
instance = linker.instantiate(store, wasmtime.Module.from_file(engine, path))
try:
    instance.exports(store)["_start"](store)
except wasmtime.ExitTrap as e:
    sys.exit(e.code)
"""

every_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the fixture that may be changed."""
    return Path(shutil.copytree(FIXTURE, tmp_path / "root", symlinks=True))


def check(program: Program, found: subprocess.CompletedProcess[bytes]) -> None:
    assert found.returncode == 0, found.stderr.decode()
    assert program.stdout is None or found.stdout == program.stdout


@every_program
def test_bare(program: Program, root: Path) -> None:
    command = [
        sys.executable,
        "-c",
        BARE,
        str(program.path),
        str(root),
        repr(list(program.args)),
        repr(list(program.env)),
    ]
    check(program, subprocess.run(command, input=program.stdin, capture_output=True, timeout=60))


@every_program
def test_keep(program: Program, root: Path, home: Path) -> None:  # noqa: F811
    before = sorted(p.relative_to(root) for p in root.rglob("*"))
    env = [part for name, value in program.env for part in ("--env", f"{name}={value}")]
    arguments = [*env, "--dir", f"{root}::/:rw", program.path, "--", *program.args]
    check(program, run(home, *arguments, stdin=program.stdin))
    assert sorted(p.relative_to(root) for p in root.rglob("*")) == before, "a Keep never writes to the tenant's files"


def test_disk_limit_is_enospc(home: Path, root: Path) -> None:  # noqa: F811
    config = home / "disk.toml"
    config.write_text('limits.disk = "8MiB"')
    found = run(home, "--config", config, "--dir", f"{root}::/:rw", HERE / "bin" / "limits.wasm", "--", "disk")
    assert found.returncode == 0, found.stderr.decode()
    assert 8 <= int(found.stdout) <= 10


def test_file_limit(home: Path, root: Path) -> None:  # noqa: F811
    config = home / "files.toml"
    config.write_text("limits.open_files = 40")
    found = run(home, "--config", config, "--dir", f"{root}::/", HERE / "bin" / "limits.wasm", "--", "files")
    assert found.returncode == 0, found.stderr.decode()
    assert 30 <= int(found.stdout) <= 60


def test_stack_overflow_is_a_trap(home: Path) -> None:  # noqa: F811
    found = run(home, HERE / "bin" / "recurse.wasm")
    assert found.returncode == 134
    assert b"stack" in found.stderr
