"""T78: a module from a stranger, given to the tenant's own command: it may not exhaust it, mislead it or drive its terminal."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable

import pytest

from enarx.cli import console
from enarx.errors import UsageError
from enarx.formats.package import MAX_WASM
from enarx.tenant import module
from tests import wasm
from tests.programs import module as guest

MEMORY = 1 << 30
SECONDS, BYTES = 10.0, 64 << 20
"""Processor time and memory that reading may take, besides the module itself. Measured: 0.5 s, 13 MiB."""

LARGE = 64 << 20
WRITE = wasm.imported("wasi_snapshot_preview1", "sched_yield")
TYPES = wasm.section(wasm.TYPE, wasm.vector([wasm.functype(b"", wasm.I32)]))


def verdict(data: bytes) -> UsageError | None:
    try:
        module.require(data, "x.wasm", memory=MEMORY)
    except UsageError as e:
        return e
    return None


def many(section: int, each: bytes, count: int) -> bytes:
    return wasm.module(TYPES, wasm.section(section, wasm.leb(count) + each * count))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a million imports": lambda: many(wasm.IMPORT, WRITE, 1_000_000),
    "a million unknown imports": lambda: many(wasm.IMPORT, wasm.imported("env", "x"), 1_000_000),
    "a million exports": lambda: many(wasm.EXPORT, wasm.export("x"), 1_000_000),
    "a million memories": lambda: many(wasm.MEMORY, wasm.limits(1), 1_000_000),
    "sections without end": lambda: wasm.HEADER + wasm.custom("") * (LARGE // 3),
    "a name of 64 MiB": lambda: wasm.module(wasm.custom(b"n" * LARGE)),
    "an import of 64 MiB": lambda: wasm.module(wasm.section(wasm.IMPORT, wasm.leb(1) + wasm.name(b"n" * LARGE))),
    "types without end": lambda: wasm.program(types=[wasm.functype()] * 1_000_000, imports=[]),
    "a far type": lambda: wasm.program(
        types=[wasm.functype()] * 1_000_000,
        imports=[wasm.imported("wasi_snapshot_preview1", "fd_close", type=wasm.leb(999_999))],
    ),
    "a type of 64 MiB": lambda: wasm.program(
        types=[wasm.functype(wasm.I32 * LARGE)], imports=[wasm.imported("wasi_snapshot_preview1", "fd_close")]
    ),
    "integers without end": lambda: wasm.HEADER + b"\1" + b"\x80" * LARGE,
    "four billion entries": lambda: wasm.module(wasm.section(wasm.IMPORT, wasm.leb((1 << 32) - 1) + bytes(LARGE))),
    "a component of 64 MiB": lambda: b"\0asm\r\0\1\0" + bytes(LARGE),
    "64 MiB of text": lambda: b"a" * LARGE,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_reading_takes_bounded_time_and_memory(name: str) -> None:
    data = HOSTILE[name]()
    assert len(data) <= MAX_WASM
    start = time.process_time()
    error = verdict(data)
    assert time.process_time() - start < SECONDS
    assert error is None or len(error.message) + len(error.hint) < 16 << 10
    tracemalloc.start()
    try:
        verdict(data)
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


def test_an_honest_module_of_that_size_is_read_to_its_end() -> None:
    """The control: as large, and accepted."""
    data = wasm.program(extra=wasm.section(wasm.DATA, b"\1\1" + wasm.sized(bytes(LARGE))), memories=[wasm.limits(1)])
    start = time.process_time()
    assert verdict(data) is None
    assert time.process_time() - start < 1


@pytest.mark.parametrize("text", ["\x1b[2J\x1b[1;1Htrusted", "\r\n\x07error: none", "\u202egnp.exe", "\x9b1m"])
def test_names_drive_no_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for data in (
        wasm.program(imports=[wasm.imported(text, text)], types=[wasm.functype()]),
        wasm.program(exports=[wasm.export(text)]),
    ):
        error = verdict(data)
        assert error is not None
        console.report(error)
        shown = capsys.readouterr().err
        assert len(shown.splitlines()) == 2
        assert all(c.isprintable() or c == "\n" for c in shown.replace("\x1b[31;1m", "").replace("\x1b[0m", ""))


def test_no_verdict_is_a_promise() -> None:
    """A module that is too long for the reader is not refused: it goes to the Keep, which checks every module by itself."""
    assert verdict(HOSTILE["a million imports"]()) is None
    assert verdict(many(wasm.IMPORT, wasm.imported("env", "x"), 10)) is not None


def test_a_file_is_read_once_and_not_beyond_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked is what is sent: the bytes in memory, whatever happens to the file meanwhile."""
    opened: list[str] = []

    def read_file(path: str, most: int, **rest: object) -> bytes:
        opened.append(path)
        return io.BytesIO(guest("cat")).read(most)

    monkeypatch.setattr(module, "read_file", read_file)
    assert module.load("x.wasm", memory=MEMORY) == guest("cat")
    assert opened == ["x.wasm"]
