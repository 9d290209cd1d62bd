"""The compiler in its sandbox, and the keeper's side of it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest
import wasmtime

from enarx.errors import DeliveryError
from enarx.formats import bounds
from enarx.keep import sandbox
from enarx.keep.children import Child, fork
from enarx.keep.guest import compiler, wasi
from tests import bombs
from tests.programs import module

NO_USER_NAMESPACE = frozenset(("user-namespace",))
"""This process has none, so a limit on processes would count all of this user's."""

MEMORY = 256 << 20


class Started:
    """A compiler, and where its code comes out."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.code, target = os.pipe()

        def work() -> None:
            sandbox.close_others(frozenset((theirs.fileno(), target)))
            compiler.main(theirs, target, skip=NO_USER_NAMESPACE)

        self.child = fork(work)
        self.source = ours
        self.compilation = compiler.Compilation(self.child, ours)
        theirs.close()
        os.close(target)

    def output(self) -> tuple[bytes, bytes]:
        """The verdict, and what follows the lengths."""
        with open(self.code, "rb", closefd=False) as file:
            data = file.read()
        self.child.reap(wait=True)
        start = 1 + compiler.SIZES.size
        assert len(data) == 0 or sum(compiler.SIZES.unpack(data[1:start])) == len(data) - start
        return data[:1], data[start:]


@pytest.fixture
def started() -> Iterator[Started]:
    made = Started()
    yield made
    made.child.kill()
    made.child.reap(wait=True)
    made.source.close()
    os.close(made.code)


@pytest.mark.parametrize("fuel", [False, True])
def test_a_module_becomes_code_that_the_same_engine_loads(started: Started, fuel: bool) -> None:
    started.compilation.start(module("hello"), fuel=fuel, memory=MEMORY)
    verdict, code = started.output()
    assert verdict == compiler.OK
    wasi.Guest(wasi.Stage(fuel=fuel), code)
    with pytest.raises(wasmtime.WasmtimeError):
        wasi.Guest(wasi.Stage(fuel=not fuel), code)
    assert started.compilation.failure() == ""


@pytest.mark.parametrize("bad", [b"", b"not a module", module("hello")[:-1], bytes(1 << 20)])
def test_another_thing_than_a_module_is_told_so(started: Started, bad: bytes) -> None:
    started.compilation.start(bad, fuel=False, memory=MEMORY)
    verdict, message = started.output()
    assert verdict == compiler.BAD
    assert 0 < len(message) <= 2000
    assert started.compilation.failure() == ""


def test_a_keeper_that_goes_away_before_an_order(started: Started) -> None:
    started.source.close()
    assert started.output() == (b"", b"")
    assert started.child.status == 0


def test_a_keeper_that_goes_away_within_a_module(started: Started) -> None:
    started.source.sendall(compiler.ORDER.pack(False, 1000, MEMORY) + bytes(999))
    started.source.close()
    assert started.output() == (b"", b"")
    assert started.child.status == 0


def test_memory_beyond_the_allowance(started: Started) -> None:
    started.compilation.start(bombs.locals_in_loops(), fuel=False, memory=32 << 20)
    assert started.output() == (b"", b"")
    assert started.compilation.failure() == "the compiler took more than 32 MiB: raise limits.compile"


def test_a_compiler_that_is_gone_before_it_has_the_module(started: Started) -> None:
    started.child.kill()
    started.child.reap(wait=True)
    with pytest.raises(DeliveryError, check=lambda e: e.code == "compiler"):
        started.compilation.start(bytes(8 << 20), fuel=False, memory=MEMORY)


def test_one_that_does_not_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CPU_BASE", 0)
    monkeypatch.setattr(bounds, "CPU_PER_MIB", 1)
    monkeypatch.setattr(bounds, "WALL_FACTOR", 0.02)
    ours, theirs = socket.socketpair()
    child = fork(lambda: threading.Event().wait(100) and None)
    with ours, theirs, pytest.raises(DeliveryError, check=lambda e: e.code == "compiler"):
        compiler.Compilation(child, ours).start(bytes(8 << 20), fuel=False, memory=MEMORY)
    assert child.status == signal.SIGKILL


@pytest.mark.parametrize(
    ("status", "peak", "message"),
    [
        (None, 0, ""),
        (0, MEMORY, ""),
        (signal.SIGXCPU, 0, f"the compiler took more than {bounds.CPU_BASE} s of processor time"),
        (signal.SIGKILL, 0, "the compiler took more than 256 MiB: raise limits.compile"),
        (compiler.STARVED << 8, 0, "the compiler took more than 256 MiB: raise limits.compile"),
        (signal.SIGABRT, MEMORY, "the compiler took more than 256 MiB: raise limits.compile"),
        (signal.SIGABRT, MEMORY // 4, "the compiler failed: it ended with status 0x6"),
        (1 << 8, 0, "the compiler failed: it ended with status 0x100"),
    ],
)
def test_how_its_end_is_explained(started: Started, status: int | None, peak: int, message: str) -> None:
    class Ended(Child):
        def __init__(self) -> None:
            self.status, self.peak = status, peak

    compilation = started.compilation
    compilation.start(b"", fuel=False, memory=MEMORY)
    compilation.child = Ended()
    assert compilation.failure() == message


def test_the_wall_clock_is_a_multiple_of_the_processor_time(started: Started) -> None:
    started.compilation.start(module("hello"), fuel=False, memory=MEMORY)
    assert started.compilation.wall == bounds.WALL_FACTOR * bounds.compile_seconds(0)
