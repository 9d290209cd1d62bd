"""T16 to T19: a workload escapes, takes resources without end, sleeps past its limit, or abuses the compiler.

That a runner can reach nothing, system call by system call, is in tests/keep/sandbox.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import wasmtime

from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import run, run_unread
from tests.programs import module


def test_t16_a_guest_without_directories_has_none(home: Path) -> None:
    from tests.wat import secret_reader

    (home / "reader.wasm").write_bytes(secret_reader())
    assert run(home, home / "reader.wasm").returncode == 72


@pytest.mark.parametrize("feature", ["(memory 1 1 shared)", "(memory i64 1)", "(memory 1) (memory 1)"])
def test_t16_proposals_that_nobody_needs_are_off(home: Path, feature: str) -> None:
    path = home / "feature.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm(f'(module {feature} (func (export "_start")))')))
    found = run_unread(home, path)
    assert found.returncode == 126
    assert b"not a valid module" in found.stderr


def test_t16_imports_that_are_not_granted(home: Path) -> None:
    path = home / "import.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm('(module (import "env" "system" (func)) (func (export "_start")))')))
    found = run_unread(home, path)
    assert found.returncode == 126
    assert b"unknown import" in found.stderr


def test_t17_more_memory_than_the_limit_at_the_start(home: Path) -> None:
    path = home / "big.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm('(module (memory 65536) (func (export "_start")))')))
    found = run_unread(home, path)
    assert found.returncode == 126
    assert b"it needs 4096 MiB of memory at least, limits.memory is 1024 MiB" in found.stderr


def test_t18_a_sleeper_is_woken(home: Path) -> None:
    (home / "sleep.wasm").write_bytes(module("sleep"))
    (home / "Enarx.toml").write_text('limits.time = "300ms"')
    assert run(home, home / "sleep.wasm").returncode == 124


@pytest.mark.parametrize("name", ["cut", "zeros", "many functions"])
def test_t19_modules_that_are_hard_on_a_compiler(home: Path, name: str) -> None:
    good = module("cat")
    deep = "(i32.add (i32.const 1) " * 400 + "(i32.const 1)" + ")" * 400
    bodies = "".join(f"(func (result i32) {deep})" for _ in range(20))
    made = {
        "cut": good[: len(good) // 2],
        "zeros": good[:8] + bytes(4096),
        "many functions": bytes(wasmtime.wat2wasm(f'(module {bodies} (func (export "_start")))')),
    }
    path = home / "hard.wasm"
    path.write_bytes(made[name])
    found = run_unread(home, path)
    assert found.returncode in (0, 126)
    assert b"Traceback" not in found.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into processes that are not dumpable")
def test_t16_a_keep_inherits_nothing(home: Path) -> None:
    """Its processes hold private sockets and pipes, and no file, directory or program of the host's."""
    from tests.e2e.harness import Daemon

    (home / "sleep.wasm").write_bytes(module("sleep"))
    daemon = Daemon(home).start()
    try:
        keep = daemon.deploy("--detach", home / "sleep.wasm").stdout.decode().strip()
        pid = json.loads(daemon.keep("inspect", keep).stdout)["keep_pid"]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == 2, "runner and attester; compiler and collector have ended"
        for process in (str(pid), *children):
            links = [os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()]
            assert links
            foreign = [
                link
                for link in links
                if not link.startswith(("socket:", "pipe:", "anon_inode:", "/dev/null", "/data", "/run/secrets"))
            ]
            assert foreign in ([], [str(daemon.log)], [str(daemon.log), str(daemon.log)]), foreign
            assert Path(f"/proc/{process}/environ").read_bytes().rstrip(b"\0") == b"LANG=C.UTF-8"
            status = Path(f"/proc/{process}/status").read_text()
            for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
                assert line in status
    finally:
        daemon.clean()
