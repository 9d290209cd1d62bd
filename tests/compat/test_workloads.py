"""Small programs that once went wrong in a Keep, from `../shared/workloads`, built where their toolchain exists."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat import toolchains
from tests.compat.packages import CACHE, Missing, partial
from tests.conftest import shared
from tests.e2e.harness import run


def built(name: str, *command: str, toolchain: Callable[[], dict[str, str]], **variables: str) -> Path:
    """A module built from a source of `../shared/workloads`, again for each new source; skips without the toolchain."""
    source = shared("workloads") / name
    target = CACHE / "built" / f"{name}.wasm"
    with partial(target) as directory:
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            try:
                environment = toolchain()
            except Missing as missing:
                pytest.skip(str(missing))
            module = directory / target.name
            subprocess.run(
                [*command, str(module), str(source)],
                env=environment | variables,
                check=True,
                capture_output=True,
                timeout=500,
            )
            module.rename(target)
    return target


def text_format(name: str) -> Path:
    """A module in the text format, as it is."""
    return shared("workloads") / name


def rust(name: str) -> Path:
    return built(name, "rustc", "--target", "wasm32-wasi", "-O", "-o", toolchain=toolchains.rust)


def test_exit_in_the_start_function_is_an_exit(tmp_path: Path) -> None:
    ran = run(tmp_path, text_format("startexit.wat"))
    assert (ran.returncode, ran.stdout) == (7, b""), ran.stderr


def test_the_first_name_of_wasi_is_accepted(tmp_path: Path) -> None:
    ran = run(tmp_path, text_format("unstable.wat"))
    assert (ran.returncode, ran.stdout) == (4, b""), ran.stderr


def test_a_minimum_of_memory_above_the_limit_names_both(tmp_path: Path) -> None:
    ran = run(tmp_path, text_format("bigmem.wat"))
    assert ran.returncode == 125, ran.stderr
    text = ran.stderr.decode()
    assert "attestation" not in text  # nothing was sent
    assert re.search(r"1 GiB|1024 MiB", text), text
    assert re.search(r"2500 MiB|2\.\d+ GiB|40,?000 pages", text), text
    assert "limits.memory" in text, text


def test_with_the_memory_of_the_hint_it_runs(tmp_path: Path) -> None:
    hint = run(tmp_path, text_format("bigmem.wat")).stderr.decode().split()
    option = hint[hint.index("--memory") : hint.index("--memory") + 2]
    ran = run(tmp_path, *option, text_format("bigmem.wat"))
    assert ran.returncode == 0, ran.stderr


@pytest.mark.timeout(300)
def test_go_compiles_in_a_quarter_of_the_memory_that_it_took(tmp_path: Path) -> None:
    """600 MB was the compiler's need. With 160 MiB it succeeds, so that the default, 128 MiB and more, is ample."""
    module = built(
        "gohello.go", "go", "build", "-o", toolchain=toolchains.go, GOOS="wasip1", GOARCH="wasm", GOMAXPROCS="1"
    )
    configuration = tmp_path / "small.toml"
    configuration.write_text('[limits]\ncompile = "160MiB"\n')
    ran = run(tmp_path, "--config", configuration, module)
    assert (ran.returncode, ran.stdout) == (0, b"hi\n"), ran.stderr


@pytest.mark.timeout(300)
def test_many_small_reads_and_writes(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    ran = run(tmp_path, "--dir", f"{tmp_path / 'o'}::/o:rw", rust("io.rs"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == b"line\n" * 20000
    assert re.search(rb"20000 pairs .*\n5000 stat .*\n20000 println ", ran.stderr), ran.stderr


@pytest.mark.timeout(300)
def test_a_directory_is_listed_whole(tmp_path: Path) -> None:
    """More entries than one call of `fd_readdir` returns. Its cost grows with their square, under wasmtime too."""
    directory = tmp_path / "m"
    directory.mkdir()
    for i in range(400):
        (directory / f"{i:04}").touch()
    ran = run(tmp_path, "--dir", f"{directory}::/m", rust("fsx.rs"), "--", "ls=/m")
    assert ran.returncode == 0, ran.stderr
    assert b'400 ["0000", "0001", "0002"' in ran.stderr.replace(b"\\", b"")


def test_times_are_fixed_or_kept(tmp_path: Path) -> None:
    module = rust("fsx.rs")
    directory = tmp_path / "x"
    directory.mkdir()
    (directory / "file").write_text("12345")
    os.utime(directory / "file", (1_234_567_890, 1_234_567_890))
    ran = run(tmp_path, "--dir", f"{directory}::/x", module, "--", "stat=/x/file")
    assert b"len 5 dir false mtime Ok(315532800)" in ran.stderr, ran.stderr
    ran = run(tmp_path, "--times", "keep", "--dir", f"{directory}::/x", module, "--", "stat=/x/file")
    assert b"len 5 dir false mtime Ok(1234567890)" in ran.stderr, ran.stderr


def test_files_in_every_way(tmp_path: Path) -> None:
    directory = tmp_path / "x"
    directory.mkdir()
    (directory / "a").write_text("1")
    steps = {
        "mkdir=/x/d": 'Ok("ok")',
        "write=/x/d/f": 'Ok("ok")',
        "append=/x/d/f": 'Ok("ok")',
        "cat=/x/d/f": 'Ok("6")',
        "rename=/x/d/f:/x/g": 'Ok("ok")',
        "ls=/x": 'Ok("3 [\\"a\\", \\"d\\", \\"g\\"]")',
        "rm=/x/g": 'Ok("ok")',
        "cat=/x/g": "Err(",
        "write=/elsewhere": "Err(",
        "sleep=20": 'Ok("true")',
        "stdin": 'Ok("5")',
        "nargs": 'Ok("13 ',
    }
    ran = run(tmp_path, "--dir", f"{directory}::/x:rw", rust("fsx.rs"), "--", *steps, stdin=b"stdin")
    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stderr.decode().splitlines() if re.match(r"[a-z]+(=|: (Ok|Err))", line)]
    assert len(lines) == len(steps), ran.stderr
    for line, (step, end) in zip(lines, steps.items(), strict=True):
        assert line.startswith(f"{step}: {end}"), line
