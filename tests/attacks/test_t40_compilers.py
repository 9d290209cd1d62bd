"""T40: a module that makes the compiler take memory or time without end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from enarx.formats import bounds
from tests import bombs
from tests.attacks.escaped import Peak, Tree
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import run
from tests.programs import module

BOMBS = {"locals in loops": bombs.locals_in_loops, "many functions": bombs.many_functions}


def bomb(home: Path, name: str) -> Path:
    path = home / "bomb.wasm"
    path.write_bytes(BOMBS[name]())
    return path


@pytest.mark.parametrize("name", BOMBS)
def test_t40_a_bomb_ends_at_the_allowance(home: Path, name: str) -> None:
    path = bomb(home, name)
    found = run(home, path)
    allowance = bounds.compile_allowance(path.stat().st_size) >> 20
    assert found.returncode == 126
    assert f"the compiler took more than {allowance} MiB: raise limits.compile".encode() in found.stderr


@pytest.mark.parametrize("name", BOMBS)
def test_t40_and_takes_no_more_than_the_bound(home: Path, name: str) -> None:
    path = bomb(home, name)
    (home / "Enarx.toml").write_text('limits.memory = "1MiB"\nlimits.compile = "96MiB"\nlimits.disk = "1MiB"')
    with Peak(home) as peak:
        found = run(home, path)
    assert b"the compiler took more than 96 MiB" in found.stderr
    assert 32 << 20 < peak.memory <= peak.bound
    assert peak.bound == bounds.keep_memory(memory=1 << 20, compile=96 << 20, disk=(1 << 20) + (2 << 20))


def test_t40_branch_tables(home: Path) -> None:
    (home / "bomb.wasm").write_bytes(bombs.branch_tables())
    assert run(home, home / "bomb.wasm").returncode == 0


def test_t40_the_cgroup_holds_a_compiler_that_has_no_limit_of_its_own(home: Path) -> None:
    """A taken-over compiler cannot raise its limits. Here it starts without one, and the bounds outside of it hold."""
    own = ("keep/guest/compiler.py", "    resource.setrlimit(resource.RLIMIT_DATA, (data, data))\n", "")
    tree = Tree(home, own, taken_over=False)
    with Peak(home) as peak:
        found = tree.run("", 'memory = "1MiB"\ncompile = "96MiB"', bomb(home, "locals in loops"))
    assert found.returncode == 126
    assert b"the compiler took more than 96 MiB: raise limits.compile" in found.stderr
    assert peak.bound * 0.9 < peak.memory <= peak.bound


def test_t40_processor_time_has_an_end(home: Path) -> None:
    """With a lower limit than in production: more than a minute is too long for a test."""
    changes = {"CPU_BASE = 60": "CPU_BASE = 1", "CPU_PER_MIB = 16": "CPU_PER_MIB = 0", "FACTOR = 5": "FACTOR = 100"}
    tree = Tree(home, *(("formats/bounds.py", *change) for change in changes.items()), taken_over=False)
    found = tree.run("", 'compile = "8GiB"', bomb(home, "many functions"))
    assert found.returncode == 126
    assert b"the compiler took more than 1 s of processor time" in found.stderr


def test_t40_so_has_a_compiler_that_sleeps(home: Path) -> None:
    changes = (
        ("formats/bounds.py", "CPU_BASE = 60", "CPU_BASE = 1"),
        (
            "keep/guest/compiler.py",
            "        verdict, (answer, adapter) = OK,",
            "        import time; time.sleep(1000)\n        verdict, (answer, adapter) = OK,",
        ),
    )
    tree = Tree(home, *changes, taken_over=False)
    start = time.monotonic()
    found = tree.run("")
    assert found.returncode == 126
    assert b"the compiler took more than 5 s" in found.stderr
    assert time.monotonic() - start < 30


WRITE = "    rest = memoryview(verdict + "
ENDLESS = f"""    os.write(target, OK + SIZES.pack(1 << 60, 0))
    while True:
        os.write(target, bytes(1 << 20))
{WRITE}"""


def test_t40_code_without_end_is_too_much_for_the_runner(home: Path) -> None:
    """The compiler was taken over, and sends endless code."""
    tree = Tree(home, ("keep/guest/compiler.py", WRITE, ENDLESS), taken_over=False)
    found = tree.run("", 'memory = "1MiB"\ncompile = "32MiB"')
    assert (found.returncode, b"refused more memory" in found.stderr) == (137, True)


@pytest.mark.parametrize("closes", ["", "    os.close(target)\n"])
def test_t40_a_compiler_that_lives_on_gives_the_run_no_time(home: Path, closes: str) -> None:
    end = "        rest = rest[os.write(target, rest) :]\n"
    changes = (
        ("keep/guest/compiler.py", end, f"{end}{closes}    import time; time.sleep(1000)\n"),
        ("formats/bounds.py", "CPU_BASE = 60", "CPU_BASE = 1"),
    )
    start = time.monotonic()
    (home / "spin.wasm").write_bytes(module("spin"))
    found = Tree(home, *changes, taken_over=False).run("", 'time = "500ms"', home / "spin.wasm")
    assert found.returncode == (124 if closes else 126), found.stderr
    assert time.monotonic() - start < 15


def test_t40_the_time_limit_does_not_count_compiling(home: Path) -> None:
    slow = (
        "keep/guest/compiler.py",
        "        verdict, (answer, adapter) = OK,",
        "        import time; time.sleep(2)\n        verdict, (answer, adapter) = OK,",
    )
    assert Tree(home, slow, taken_over=False).run("", 'time = "1s"').returncode == 31


def test_t40_a_real_module_fits_its_default(home: Path) -> None:
    path = home / "good.wasm"
    path.write_bytes(module("cat"))
    assert run(home, path, stdin=b"x").stdout == b"x"
    (home / "Enarx.toml").write_text('limits.compile = "1MiB"')
    assert run(home, path, stdin=b"x").stdout == b"x"
