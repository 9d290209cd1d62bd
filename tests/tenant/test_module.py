"""Modules that are refused before anything is sent: exactly those that no Keep starts, each with a remedy.

The oracle is the Keep's own code, which compiles, links and runs a module.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import wasmtime
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enarx.errors import UsageError
from enarx.formats import wasi as table
from enarx.formats import wasm
from enarx.formats.bounds import TABLE_COUNT, TABLE_ELEMENTS
from enarx.formats.config import Limits
from enarx.formats.package import MAX_WASM
from enarx.keep.guest import wasi
from enarx.tenant import module
from tests.programs import BODIES
from tests.programs import module as guest
from tests.wasm import (
    CODE,
    DATA_COUNT,
    FUNC,
    FUNCTION,
    GLOBALS,
    HEADER,
    I32,
    I64,
    MEM,
    START,
    TABLES,
    TYPE,
    custom,
    export,
    functype,
    imported,
    leb,
    limits,
    program,
    section,
    vector,
)
from tests.wasm import module as made
from tests.wasm import table as table_type

ROOT = Path(__file__).resolve().parent.parent.parent
MEMORY = 64 << 20


def check(data: bytes, memory: int = MEMORY) -> UsageError | None:
    """The error of a module on the tenant's side; None if it is accepted."""
    try:
        module.require(data, "x.wasm", memory=memory)
    except UsageError as e:
        assert e.message.startswith("x.wasm: ")
        assert e.hint
        return e
    return None


def starts(data: bytes, memory: int = MEMORY) -> bool:
    """Whether a Keep starts it: what its compiler and its runner do, in this process."""
    order = wasi.Order(args=(), env=(), dirs=(), limits=Limits(memory=memory, time=0.5))
    try:
        code = wasi.compile_module(data, fuel=False)
    except wasmtime.WasmtimeError:
        return False
    parts = code if isinstance(code, tuple) else (code,)
    return bool(wasi.Guest(wasi.Stage(fuel=False), *parts).run(order)["cause"] != "failed")


def refused(data: bytes, code: str, *words: str, memory: int = MEMORY) -> UsageError:
    """The error of a module that neither side accepts; `words` are in its message or its hint."""
    error = check(data, memory)
    assert error is not None
    assert error.code == f"wasm-{code}"
    for word in words:
        assert word in f"{error.message}\n{error.hint}"
    assert not starts(data, memory)
    return error


COMMITTED = sorted([*ROOT.glob("examples/**/*.wasm"), *ROOT.glob("tests/**/*.wasm"), *ROOT.glob("bench/**/*.wasm")])


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: p.name)
def test_committed_modules_are_accepted(path: Path) -> None:
    assert check(path.read_bytes(), 1 << 30) is None


def test_there_are_committed_modules() -> None:
    assert len(COMMITTED) > 20


@pytest.mark.parametrize("name", [n for n in BODIES if n != "no-start"])
def test_guests_of_other_tests_are_accepted(name: str) -> None:
    assert check(guest(name)) is None


def test_what_a_keep_starts_is_accepted() -> None:
    for data in (
        program(),
        program(memories=[limits(1)]),
        program(memories=[limits(1024, 65_536)]),
        program(tables=[table_type(limits(TABLE_ELEMENTS))] * TABLE_COUNT),
        program(tables=[table_type(limits(0, 1 << 31), b"\x6f")]),
        program(types=[functype(b"\x7f" * 6, I32), functype()], imports=[imported(table.PREVIEW1, "sock_recv")]),
        program(extra=custom("name", b"\xff") + custom("producers")),
    ):
        assert starts(data)
        assert check(data) is None


def test_names_of_older_toolchains_are_accepted() -> None:
    assert check(program(types=[functype(I32)], imports=[imported(table.PREVIEW0, "proc_exit")])) is None
    assert check(program(start="")) is None


# --- what a Keep does not start --------------------------------------------------------------------------------------


def test_no_program() -> None:
    refused(program(start="main"), "start", "exports main", "_start", "fn main")
    refused(program(exports=[]), "start", "exports no function at all")
    refused(program(exports=[export("_initialize"), export("add")]), "start", "_initialize", "reactor", "c-shared")
    refused(program(memories=[limits(1)], exports=[export("_start", MEM)]), "start", "_start is a memory")
    many = refused(program(exports=[export(f"f{i}") for i in range(100)]), "start", "and 95 more")
    assert "f7" not in many.message


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("gojs", "runtime.wasmExit", ("GOOS=js", "GOOS=wasip1")),
        ("go", "runtime.wasmExit", ("GOOS=wasip1",)),
        ("__wbindgen_placeholder__", "__wbindgen_throw", ("wasm-bindgen", "wasm32-wasip1")),
        ("wbg", "__wbg_log", ("wasm-bindgen",)),
        ("./hello_bg.js", "alert", ("wasm-bindgen",)),
        ("a", "b", ("Emscripten", "wasi-sdk")),
        ("env", "emscripten_notify_memory_growth", ("Emscripten",)),
        ("env", "__syscall_openat", ("Emscripten",)),
        ("env", "undefined_symbol", ("link the library that defines it",)),
        ("env", "abort", ("link the library that defines it",)),
        ("javy_quickjs_provider_v3", "invoke", ("Javy",)),
        ("wasix_32v1", "futex_wait", ("WASIX",)),
        ("wasi:cli/environment@0.2.0", "get-arguments", ("preview 2",)),
        ("wasi", "thread-spawn", ("threads",)),
        ("host", "log", ("a host with functions of its own",)),
        ("wasi_snapshot_preview1", "fd_writ", ("did you mean fd_write?",)),
        ("wasi_snapshot_preview1", "zzz", ("no such function",)),
        ("wasi_snapshot_preview1", "sock_open", ("no sockets yet",)),
        ("wasi_unstable", "sock_open", ("no sockets yet",)),
    ],
)
def test_unknown_imports(module: str, name: str, words: tuple[str, ...]) -> None:
    refused(
        program(imports=[imported(module, name, type=b"\0")], types=[functype()]), "import", f"{module}.{name}", *words
    )


def test_assemblyscript_is_told_by_the_type_of_abort() -> None:
    data = program(types=[functype(I32 * 4)], imports=[imported("env", "abort")])
    refused(data, "import", "AssemblyScript", "@assemblyscript/wasi-shim")


def test_object_files_and_dynamic_libraries() -> None:
    data = program(imports=[imported("env", "__linear_memory", MEM, limits(0))])
    refused(data, "import", "the memory env.__linear_memory", "object file")
    refused(HEADER + custom("dylink.0") + data[8:], "import", "dynamic library")


@pytest.mark.parametrize(
    ("kind", "rest"), [(TABLES, table_type(limits(1))), (MEM, limits(1)), (GLOBALS, I32 + b"\0"), (b"\4", b"\0\0")]
)
def test_only_functions_can_be_imported(kind: bytes, rest: bytes) -> None:
    refused(program(types=[functype()], imports=[imported("wasi_snapshot_preview1", "fd_write", kind, rest)]), "import")


def test_a_function_of_another_type() -> None:
    data = program(types=[functype(I32, I32)], imports=[imported(table.PREVIEW1, "fd_write")])
    refused(data, "import", "fd_write as (i32) -> (i32)", "(i32, i32, i32, i32) -> (i32)")


def test_many_unknown_imports_are_counted() -> None:
    error = refused(program(types=[functype()], imports=[imported("env", f"f{i}") for i in range(5000)]), "import")
    assert error.message.endswith("env.f0, env.f1, env.f2, env.f3, env.f4 and 4995 more, which Keeps do not provide")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (program(memories=[limits(1, flags=4)]), "memory64"),
        (program(memories=[limits(1, 1, flags=2)]), "threads"),
        (program(imports=[imported("env", "memory", MEM, limits(1, 1, flags=2))]), "threads"),
        (program(memories=[b"\x08\1\0"]), "memory pages of another size"),
        (program(memories=[limits(1), limits(1)]), "2 memories"),
        (program(types=[b"\x5f\0"]), "garbage-collected"),
        (program(types=[b"\x4e\1" + functype()]), "garbage-collected"),
        (program(types=[b"\x50\0" + functype()]), "garbage-collected"),
        (program(tables=[table_type(limits(1, flags=4))]), "64-bit"),
        (program(tables=[b"\x40\0\x70\0\1\xd0\x70\x0b"]), "initializers"),
    ],
)
def test_features_that_keeps_switch_off(data: bytes, words: str) -> None:
    refused(data, "feature", words)


def test_memory_above_the_limit() -> None:
    data = program(memories=[limits(40_000)])
    refused(data, "memory", "2500 MiB", "64 MiB", "limits.memory", "--memory 2500MiB")
    assert check(data, 40_000 << 16) is None
    assert starts(data, 40_000 << 16)
    refused(data, "memory", memory=(40_000 << 16) - 1)
    refused(program(memories=[limits(65_537)]), "malformed", "4 GiB", memory=1 << 40)


def test_tables_above_their_bounds() -> None:
    refused(program(tables=[table_type(limits(TABLE_ELEMENTS + 1))]), "table", str(TABLE_ELEMENTS))
    refused(program(tables=[table_type(limits(1))] * (TABLE_COUNT + 1)), "table", f"{TABLE_COUNT + 1} tables")


def test_truncated_modules() -> None:
    """Cut anywhere, a program is refused; between two sections, because its functions lack their bodies."""
    whole = (ROOT / "examples/filter/filter.wasm").read_bytes()
    last = max(end for _, end in wasm.Module.from_bytes(whole).spans.values())
    assert check(whole) is None
    for end in range(len(whole)):
        error = check(whole[:end])
        assert (error is None) == starts(whole[:end])
        assert error is not None or end >= last - 200
    refused(made(section(TYPE, vector([functype()])), section(FUNCTION, b"\1\0")), "malformed", "code section has 0")
    refused(made(section(DATA_COUNT, b"\1"), section(CODE, b"\0")), "malformed", "data section has 0")


# --- other files -----------------------------------------------------------------------------------------------------


def zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        pytest.param(b"", "magic", "an empty file", id="empty"),
        pytest.param(b"\0as", "malformed", "truncated", id="three bytes"),
        pytest.param(b"\0asm\1\0", "malformed", "truncated", id="six bytes"),
        pytest.param(b"\0asm\2\0\0\0", "version", "version 0x2", id="version 2"),
        pytest.param(gzip.compress(program()), "magic", "gunzip", id="gzip"),
        pytest.param(b"\x28\xb5\x2f\xfdrest", "magic", "zstd", id="zstd"),
        pytest.param(zipped("x.wasm", program()), "magic", "ZIP", id="zip"),
        pytest.param(tarred("x.wasm", program()), "magic", "tar", id="tar"),
        pytest.param(b"\x7fELF\2\1\1" + bytes(60), "magic", "an ELF file", id="elf"),
        pytest.param(b"\x7fELF\2\1\1" + bytes(60) + b".wasmtime.engine", "magic", "wasmtime has compiled", id="cwasm"),
        pytest.param(b"MZ\x90\0" + bytes(60), "magic", "a Windows program", id="pe"),
        pytest.param(b"\xcf\xfa\xed\xfe" + bytes(28), "magic", "Mach-O", id="mach-o"),
        pytest.param(b"#!/bin/sh\n", "magic", "a script", id="script"),
        pytest.param(b"!<arch>\n", "magic", "a static library", id="archive"),
        pytest.param(b"BC\xc0\xde5\x14", "magic", "LLVM bitcode", id="bitcode"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "magic", "git lfs pull", id="lfs"),
        pytest.param(b"\n<!DOCTYPE html><html>", "magic", "an HTML page", id="html"),
        pytest.param("(module)".encode("utf-16"), "magic", "UTF-16", id="utf-16"),
        pytest.param("print('gr\u00fc\u00df Gott')\n".encode(), "magic", ": text,", id="text"),
        pytest.param(b"\x93NUMPY\1\0", "magic", "not a WebAssembly module", id="other"),
        pytest.param(b"\0asm\r\0\1\0", "component", "a WebAssembly component", id="component"),
        pytest.param(b"\0asm\x0e\0\1\0", "component", "a WebAssembly component", id="component of another version"),
        pytest.param(b"\0asm\r\0\1\0...componentize-py", "component", "run CPython", id="python component"),
        pytest.param(b"\0asm\r\0\1\0...ComponentizeJS", "component", "run QuickJS", id="javascript component"),
        pytest.param(b"\0asm\r\0\1\0...wasi_snapshot_preview1", "component", "unbundle", id="component with adapter"),
    ],
)
def test_other_formats_are_named(data: bytes, code: str, words: str) -> None:
    refused(data, code, words)


def test_characters_cut_at_the_end_of_the_sample_are_text() -> None:
    refused(b"x" + "\u00e9".encode() * 2000, "magic", ": text,")


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (".py", "CPython"),
        (".js", "QuickJS"),
        (".rs", "wasm32-wasip1"),
        (".go", "wasip1"),
        (".c", "zig cc"),
        (".toml", "--config"),
    ],
)
def test_sources_are_told_how_to_become_modules(tmp_path: Path, suffix: str, words: str) -> None:
    path = tmp_path / f"hello{suffix}"
    path.write_text("print(1)\n")
    with pytest.raises(UsageError, check=lambda e: words in e.hint):
        module.load(str(path), memory=MEMORY)


def test_files_over_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.wasm"
    with path.open("wb") as file:
        file.write(HEADER)
        file.truncate(MAX_WASM + 1)
    with pytest.raises(UsageError, match="over 256 MiB"):
        module.load(str(path), memory=MEMORY)


def loading(path: Path | str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        module.load(str(path), memory=MEMORY)
    return caught.value


def test_paths_that_lead_to_no_module(tmp_path: Path) -> None:
    (tmp_path / "hello.wasm").write_bytes(program())
    assert module.load(str(tmp_path / "hello.wasm"), memory=MEMORY) == program()
    for wrong in ("helo.wasm", "hello", "hello.was"):
        assert loading(tmp_path / wrong).hint == f"did you mean {tmp_path / 'hello.wasm'}?"
    assert loading(tmp_path / "quite-another").hint == ""
    assert loading(tmp_path / "no" / "hello.wasm").hint == f"the directory {tmp_path / 'no'} does not exist"
    assert loading(tmp_path).hint == f"name the module in it: {tmp_path / 'hello.wasm'}"
    assert loading(tmp_path / "hello.wasm" / "x").code == "wasm-file"
    assert loading("a\0b").code == "wasm-file"
    os.mkfifo(tmp_path / "pipe")
    assert "-" in loading(tmp_path / "pipe").hint
    assert "regular" in loading("/dev/zero").message


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop.wasm").symlink_to("loop.wasm")
    assert "symbolic links" in loading(tmp_path / "loop.wasm").message


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.org/x.wasm", "SHA-256"),
        ("HTTP://example.org/x.wasm", "SHA-256"),
        ("oci://registry.example/x:1", "oras pull"),
        ("file:///home/x.wasm", "/home/x.wasm"),
    ],
)
def test_urls(url: str, words: str) -> None:
    error = loading(url)
    assert (error.code, words in error.hint) == ("wasm-url", True)


def test_the_text_format_is_left_to_the_assembler() -> None:
    texts: list[tuple[bytes, str]] = []

    def assemble(text: bytes, name: str) -> bytes:
        texts.append((text, name))
        return program()

    for text in (
        b"(module)",
        b"\n\t (module)",
        b";; comment\n(module)",
        b"(; comment ;) (module)",
        b"\xef\xbb\xbf(module)",
    ):
        assert module.load(text, memory=MEMORY, assemble=assemble) == program()
        with pytest.raises(UsageError, match="text"):
            module.load(text, memory=MEMORY)
    assert len(texts) == 5
    assert module.load(program(), memory=MEMORY, assemble=assemble) == program()
    assert len(texts) == 5


# --- the two sides agree ---------------------------------------------------------------------------------------------

NAMES = [*table.FUNCTIONS, "fd_writ", "sock_open", ""]
TYPES = [functype(*table.type_of(name)) for name in table.FUNCTIONS]


@st.composite
def imports(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(NAMES))
    kind = draw(st.sampled_from(["right"] * 12 + ["type", "module", "memory", "table", "global"]))
    if kind == "memory":
        return imported(table.PREVIEW1, name, MEM, limits(1))
    if kind == "table":
        return imported(table.PREVIEW1, name, TABLES, table_type(limits(1)))
    if kind == "global":
        return imported("env", name, GLOBALS, draw(st.sampled_from([I32, I64])) + b"\0")
    right = NAMES.index(name) if name in table.FUNCTIONS else 0
    type = right if kind != "type" else draw(st.integers(0, len(TYPES) + 2))
    return imported("env" if kind == "module" else table.PREVIEW1, name, FUNC, leb(type))


SIZES = st.one_of(
    st.builds(limits, st.integers(0, 2000)),
    st.builds(limits, st.integers(0, 2000), st.integers(0, 70_000)),
    st.builds(limits, st.integers(0, 70_000), st.none(), st.sampled_from([0, 0, 2, 4, 8])),
)
ELEMENTS = st.builds(
    lambda size, maximum, flags: table_type(limits(size, maximum, flags)),
    st.one_of(st.integers(0, 1000), st.integers(TABLE_ELEMENTS - 2, TABLE_ELEMENTS + 2)),
    st.none(),
    st.sampled_from([0, 0, 0, 4]),
)


@settings(max_examples=400)
@given(
    needed=st.lists(imports(), max_size=5),
    memories=st.lists(SIZES, max_size=1) | st.lists(SIZES, max_size=2),
    tables=st.lists(ELEMENTS, max_size=TABLE_COUNT + 1),
    start=st.sampled_from(["_start"] * 6 + ["main", "_initialize"]),
    extra=st.sampled_from([b"", b"", custom("name"), section(START, b"\0"), b"\0", b"\x0b\1"]),
    first=st.sampled_from([b""] * 5 + [b"\x5f\0", b"\x4e\0"]),
)
def test_made_modules(
    needed: list[bytes], memories: list[bytes], tables: list[bytes], start: str, extra: bytes, first: bytes
) -> None:
    types = [*TYPES, first] if first else TYPES
    data = program(types=types, imports=needed, memories=memories, tables=tables, start=start, extra=extra)
    error = check(data)
    if starts(data):
        assert error is None, error
    elif error is None:
        with pytest.raises(wasmtime.WasmtimeError):  # accepted, not started: only a validator sees why
            wasi.compile_module(data, fuel=False)


SMALL = [(ROOT / path).read_bytes() for path in ("examples/filter/filter.wasm", "tests/wasi/bin/trap.wasm")]


@settings(max_examples=500)
@given(
    whole=st.sampled_from([*SMALL, program(memories=[limits(2)], tables=[table_type(limits(1))])]),
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=3),
    cut=st.integers(0, 1 << 16),
)
@example(whole=program(), changes=[(0, 0)], cut=1 << 16)
def test_changed_modules(whole: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever the bytes are, a refusal means that a Keep refuses too."""
    data = bytearray(whole)
    for at, value in changes:
        data[at % len(data)] = value
    data = data[: cut if cut % 4 == 0 else None]
    error = check(bytes(data))
    if error is not None:
        assert not starts(bytes(data)), error


def test_the_sides_would_disagree_about_a_wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is able to tell: a bound that is too small makes the tenant's side refuse what a Keep starts."""
    data = program(tables=[table_type(limits(100))])
    assert starts(data)
    assert check(data) is None
    monkeypatch.setattr(module, "TABLE_ELEMENTS", 99)
    assert check(data) is not None


def test_a_module_may_define_its_function_by_a_type_far_away() -> None:
    data = program(
        types=[functype(I32)] * 3000 + [functype(*table.type_of("sched_yield"))],
        imports=[imported(table.PREVIEW1, "sched_yield", FUNC, leb(3000))],
    )
    assert starts(data)
    assert check(data) is None
