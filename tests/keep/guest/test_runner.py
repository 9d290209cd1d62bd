"""The runner in its sandbox with a real compiler, and what it does about another one's output."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enarx.formats.bounds import OWN_FILES
from enarx.formats.config import Limits
from enarx.formats.wire import decode
from enarx.keep.children import fork
from enarx.keep.guest import compiler, runner, wasi
from enarx.keep.sandbox import Isolation
from tests.programs import module

NO_USER_NAMESPACE = frozenset(("user-namespace",))
"""This process has none, so a limit on processes would count all of this user's."""

ORDER: dict[str, Any] = {
    "args": ["main.wasm"],
    "env": {},
    "dirs": [],
    "limits": Limits(memory=16 << 20, open_files=64).public(),
    "data": 4 << 30,
}


@pytest.fixture
def isolation(tmp_path: Path) -> Isolation:
    for name in ("data", "secrets"):
        (tmp_path / name).mkdir()
    return Isolation(
        layers=(), data=f"{tmp_path}/data", secrets=f"{tmp_path}/secrets", scratch=str(tmp_path), resizable=False
    )


@pytest.fixture
def handle(isolation: Isolation) -> Iterator[runner.Handle]:
    made = runner.spawn(isolation, NO_USER_NAMESPACE)
    yield made
    for child in (made.child, made.compilation.child, made.collection.child):
        child.kill()
        child.reap(wait=True)
    made.orders.close()
    made.compilation._source.close()
    made.collection._link.close()
    for fd in (made.stdin, made.stdout, made.stderr, made.collection.stream):
        os.close(fd)


def result(handle: runner.Handle) -> dict[str, Any]:
    """What the runner says: that it has loaded the code, if it has, and how the run ended."""
    handle.orders.settimeout(60)
    data = b""
    while piece := handle.orders.recv(65536):
        data += piece
    handle.child.reap(wait=True)
    loaded = data.startswith(runner.LOADED)
    value: Any = decode(data.removeprefix(runner.LOADED), "result")
    return {"loaded": loaded, **value}


def run(handle: runner.Handle, wasm: bytes, **changes: Any) -> dict[str, Any]:
    order = ORDER | {"limits": ORDER["limits"] | changes}
    handle.compilation.start(wasm, fuel="fuel" in changes, memory=256 << 20)
    runner.send(handle.orders, order)
    return result(handle)


def test_a_guest_runs_to_its_end(handle: runner.Handle) -> None:
    found = run(handle, module("exit31"))
    assert 0 <= found.pop("milliseconds") < 60_000
    assert found == {"loaded": True, "cause": "exit", "code": 31, "memory": found["memory"]}
    assert handle.child.status == 0


def test_its_stdio_are_the_keepers_pipes(handle: runner.Handle) -> None:
    assert run(handle, module("both"))["cause"] == "exit"
    assert (os.read(handle.stdout, 100), os.read(handle.stderr, 100)) == (b"out\n", b"err\n")


def test_it_reads_what_the_keeper_writes(handle: runner.Handle) -> None:
    os.write(handle.stdin, b"given")
    nothing = os.open("/dev/null", os.O_WRONLY)
    os.dup2(nothing, handle.stdin)  # which closes the pipe, and leaves a descriptor to close at the end
    os.close(nothing)
    assert run(handle, module("cat"))["cause"] == "exit"
    assert os.read(handle.stdout, 100) == b"given"


@pytest.mark.parametrize(
    ("name", "changes", "cause"),
    [("spin", {"time": 200}, "time"), ("spin", {"fuel": 10_000}, "trap"), ("no-start", {}, "failed")],
)
def test_how_a_guest_ends(handle: runner.Handle, name: str, changes: dict[str, Any], cause: str) -> None:
    assert run(handle, module(name), **changes)["cause"] == cause


def test_a_bad_module_is_told_and_never_loaded(handle: runner.Handle) -> None:
    found = run(handle, b"not a module")
    assert (found["loaded"], found["cause"]) == (False, "failed")
    assert found["message"].startswith("not a valid module: ")


def test_a_compiler_that_ends_without_a_word(handle: runner.Handle) -> None:
    handle.compilation.child.kill()
    runner.send(handle.orders, ORDER)
    assert result(handle) == {"loaded": False, "cause": "failed", "message": runner.NO_CODE}


def test_a_keeper_that_goes_away_ends_it(handle: runner.Handle) -> None:
    handle.orders.close()
    assert handle.child.reap(seconds=20)
    assert handle.child.status == 0


# --- single steps, in processes without a sandbox ----------------------------------------------------------------------


def in_child(work: Callable[[], None]) -> int:
    child = fork(work)
    child.reap(wait=True)
    return os.waitstatus_to_exitcode(child.status or 0)


def framed(verdict: bytes, code: bytes, size: int | None = None) -> bytes:
    return verdict + (len(code) if size is None else size).to_bytes(compiler.SIZE, "big") + code


@pytest.mark.parametrize(
    "given",
    [
        b"",
        compiler.OK,
        framed(compiler.OK, b"code", 5),
        framed(compiler.OK, b"code") + b"x",
        framed(compiler.OK, b"code", 1 << 60),
        framed(compiler.BAD, b"wrong") + b"x",
    ],
)
def test_output_that_is_not_whole_is_no_code(given: bytes) -> None:
    reader, writer = os.pipe()
    os.write(writer, given)
    os.close(writer)
    orders, far = socket.socketpair()
    with orders, far:
        found = runner._load(wasi.Stage(fuel=False), reader, orders, NO_USER_NAMESPACE)
        assert found == {"cause": "failed", "message": runner.NO_CODE}
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.recv(1)


def test_an_order_comes_whole_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        order = ORDER | {"args": ["x" * 300_000]}
        child = fork(lambda: runner.send(ours, order))
        assert runner._receive(theirs) == order
        child.reap(wait=True)


def test_limits_are_those_of_the_order() -> None:
    def work() -> None:
        runner._limit(64, 4 << 30)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64 + OWN_FILES,) * 2
        assert resource.getrlimit(resource.RLIMIT_DATA) == (4 << 30,) * 2

    assert in_child(work) == 0


def test_an_order_in_the_guests_terms() -> None:
    order = runner._order(ORDER | {"args": ["a"], "env": {"A": "1"}, "dirs": [["/data/0", "/d", True]]})
    assert (order.args, order.env, order.dirs) == (("a",), (("A", "1"),), (("/data/0", "/d", True),))
    assert order.limits == Limits(memory=16 << 20, open_files=64)
