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

every_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.label)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the fixture that may be changed."""
    return Path(shutil.copytree(FIXTURE, tmp_path / "root", symlinks=True))


def check(program: Program, found: subprocess.CompletedProcess[bytes]) -> None:
    assert found.returncode == program.code, found.stderr.decode()
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
def test_keep(program: Program, root: Path, home: Path) -> None:
    before = sorted(p.relative_to(root) for p in root.rglob("*"))
    env = [part for name, value in program.env for part in ("--env", f"{name}={value}")]
    arguments = [*env, "--dir", f"{root}::/:rw", program.path, "--", *program.args]
    check(program, run(home, *arguments, stdin=program.stdin))
    assert sorted(p.relative_to(root) for p in root.rglob("*")) == before, "a Keep never writes to the tenant's files"


LIMITS = HERE / "bin" / "limits.wasm"


def limited(
    home: Path, limits: str, *arguments: str | Path, mode: tuple[str, ...]
) -> subprocess.CompletedProcess[bytes]:
    """Run one of the workloads of limits.c under these limits."""
    config = home / "limits.toml"
    config.write_text(limits)
    return run(home, "--config", config, *arguments, LIMITS, "--", *mode)


def test_disk_limit_is_enospc(home: Path, root: Path) -> None:
    found = limited(home, 'limits.disk = "8MiB"', "--dir", f"{root}::/:rw", mode=("disk",))
    assert found.returncode == 0, found.stderr.decode()
    assert 8 <= int(found.stdout) <= 10


def test_file_limit(home: Path, root: Path) -> None:
    found = limited(home, "limits.open_files = 40", "--dir", f"{root}::/", mode=("files",))
    assert found.returncode == 0, found.stderr.decode()
    assert 30 <= int(found.stdout) <= 60


def test_stack_overflow_is_a_trap(home: Path) -> None:
    found = run(home, HERE / "bin" / "recurse.wasm")
    assert found.returncode == 134
    assert b"stack" in found.stderr


def test_names_stand_in_the_backtrace(home: Path) -> None:
    found = run(home, HERE / "bin" / "trap.wasm")
    assert found.returncode == 134
    said = found.stderr.decode()
    places = [said.index(name) for name in ("divide_the_estate", "read_the_will", "gather_the_heirs", "_start")]
    assert places == sorted(places)


def test_refused_memory_is_null_to_malloc(home: Path) -> None:
    found = limited(home, 'limits.memory = "32MiB"', mode=("memory",))
    assert found.returncode == 0, found.stderr.decode()
    assert 4 <= int(found.stdout) <= 32


def test_abort_without_memory_is_explained(home: Path) -> None:
    found = limited(home, 'limits.memory = "32MiB"', mode=("hog",))
    assert found.returncode == 134
    assert b"refused after" in found.stderr
    assert b"probably memory" in found.stderr


@pytest.mark.parametrize("mode", ["spin", "sleep"])
def test_time_ends_what_does_not(home: Path, mode: str) -> None:
    found = limited(home, 'limits.time = "500ms"', mode=(mode,))
    assert found.returncode == 124
    assert b"time limit" in found.stderr


def test_output_limit_counts_what_came_out(home: Path) -> None:
    found = limited(home, 'limits.output = "1MiB"', mode=("flood", "4"))
    assert found.returncode == 137
    assert found.stdout == b"f" * (1 << 20)
    assert limited(home, 'limits.output = "4MiB"', mode=("flood", "4")).returncode == 0


def test_secret_can_be_read_and_nothing_else(home: Path) -> None:
    key = home / "key"
    key.write_bytes(b"\0binary\nsecret\xff")
    found = limited(home, "secrets.the-key = {}", "--secret", f"the-key=@{key}", mode=("secret", "the-key"))
    assert found.returncode == 0, found.stderr.decode()
    assert found.stdout == key.read_bytes()
