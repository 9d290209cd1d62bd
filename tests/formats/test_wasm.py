"""The outline of a module: what it reads, what it refuses, and where it stops."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats import wasm
from enarx.formats.wasm import Limits, Module
from tests.programs import BODIES, module
from tests.wasm import (
    CODE,
    DATA,
    EXPORT,
    FUNCTION,
    GLOBALS,
    HEADER,
    IMPORT,
    MEM,
    MEMORY,
    START,
    TABLE,
    TABLES,
    TAG,
    TYPE,
    custom,
    export,
    functype,
    imported,
    leb,
    limits,
    name,
    program,
    section,
    table,
    vector,
)
from tests.wasm import module as made


def outline(data: bytes) -> Module:
    return Module.from_bytes(data)


def refused(data: bytes, code: str) -> None:
    """ParseError with this code, from the outline or from reading its entries; and the engine refuses the bytes too."""
    with pytest.raises(ParseError, check=lambda e: e.code == f"wasm-{code}"):
        read_all(outline(data))
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.Module(wasmtime.Engine(), data)


def read_all(found: Module) -> list[Any]:
    return [*found.imports(), *found.exports(), *found.memories(), *found.tables(), *found.types()]


@pytest.mark.parametrize("guest", [n for n in BODIES if n != "invalid"])
def test_reads_what_the_engine_reads(guest: str) -> None:
    data = module(guest)
    found, engines = outline(data), wasmtime.Module(wasmtime.Engine(), data)
    assert [(i.module, i.name) for i in found.imports()] == [(i.module, i.name) for i in engines.imports]
    assert [name for name, _ in found.exports()] == [e.name for e in engines.exports]
    types = list(found.types())
    for each, engines_own in zip(found.imports(), engines.imports, strict=True):
        assert each.kind == "function"
        assert each.type is not None
        parameters, _ = types[each.type] or (b"", b"")
        assert isinstance(engines_own.type, wasmtime.FuncType)
        assert len(parameters) == len(engines_own.type.params)


def test_every_kind_of_import() -> None:
    data = program(
        types=[functype(b"\x7f", b"\x7e")],
        imports=[
            imported("env", "f"),
            imported("env", "t", TABLES, table(limits(1, 2))),
            imported("env", "m", MEM, limits(3)),
            imported("env", "g", GLOBALS, b"\x7f\0"),
            imported("env", "e", b"\4", b"\0\0"),
        ],
    )
    kinds = [(i.name, i.kind, i.type, i.limits) for i in outline(data).imports()]
    assert kinds == [
        ("f", "function", 0, None),
        ("t", "table", None, Limits(minimum=1, maximum=2, flags=1)),
        ("m", "memory", None, Limits(minimum=3, maximum=None, flags=0)),
        ("g", "global", None, None),
        ("e", "tag", 0, None),
    ]


def test_sizes_of_memories_and_tables() -> None:
    data = program(
        memories=[limits(1, 70_000), limits(1 << 40, flags=4)], tables=[table(limits(300)), b"\x40\0\x70\0\1"]
    )
    found = outline(data)
    assert list(found.memories()) == [
        Limits(minimum=1, maximum=70_000, flags=1),
        Limits(minimum=1 << 40, maximum=None, flags=4),
    ]
    assert list(found.tables()) == [Limits(minimum=300, maximum=None, flags=0), None]


def test_types_end_at_the_first_that_is_not_of_a_function() -> None:
    reference = b"\x60\1\x63\x70\0"
    found = outline(made(section(TYPE, vector([functype(b"\x7f\x7b"), reference, b"\x5f\0", functype()]))))
    assert list(found.types()) == [(b"\x7f\x7b", b""), (b"\x63", b""), None]


def test_custom_sections_may_stand_anywhere() -> None:
    data = custom("first", b"x") + program()[8:] + custom("last") + custom("last")
    found = outline(HEADER + data)
    assert [(name, found.data[start:end]) for name, start, end in found.customs] == [
        ("first", b"x"),
        ("last", b""),
        ("last", b""),
    ]


def test_counts_of_sections() -> None:
    found = outline(program())
    assert (found.count(wasm.FUNCTION), found.count(wasm.CODE), found.count(wasm.DATA)) == (1, 1, 0)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(program()[:-1], "cut", id="cut in code"),
        pytest.param(HEADER + b"\1", "cut", id="cut before a size"),
        pytest.param(HEADER + b"\1\x80", "cut", id="cut within a size"),
        pytest.param(HEADER + b"\x0e\0", "section", id="unknown section"),
        pytest.param(HEADER + b"\1\x80\x80\x80\x80\x80\0", "integer", id="an overlong size"),
        pytest.param(HEADER + b"\1\x80\x80\x80\x80\x10", "integer", id="a size of 33 bits"),
        pytest.param(made(section(FUNCTION, b"\0"), section(TYPE, b"\0")), "order", id="out of order"),
        pytest.param(made(section(TYPE, b"\0"), section(TYPE, b"\0")), "order", id="repeated"),
        pytest.param(made(section(0, b"\5ab")), "cut", id="a name beyond its section"),
        pytest.param(made(section(0, b"\1\xff")), "name", id="a name that is not UTF-8"),
        pytest.param(made(custom(b"n" * 100_001)), "name", id="a long name"),
        pytest.param(made(section(IMPORT, leb(2) + imported("a", "b"))), "cut", id="more imports than there are"),
        pytest.param(made(section(IMPORT, leb(1 << 30))), "count", id="a billion imports"),
        pytest.param(made(section(TYPE, vector([functype(b"\x7f" * 1001)]))), "count", id="1001 parameters"),
        pytest.param(made(section(TYPE, vector([functype(b"", b"\x7f" * 1001)]))), "count", id="1001 results"),
        pytest.param(made(section(IMPORT, vector([imported("a", "b", b"\7")]))), "kind", id="an import of kind 7"),
        pytest.param(made(section(EXPORT, vector([name("a") + b"\7\0"]))), "kind", id="an export of kind 7"),
        pytest.param(made(section(MEMORY, b"\1\x10\1")), "limits", id="an unknown flag of a memory"),
        pytest.param(made(section(TABLE, b"\1\x70\x08\1")), "limits", id="an unknown flag of a table"),
    ],
)
def test_malformed(data: bytes, code: str) -> None:
    refused(data, code)


def test_a_function_may_have_a_thousand_parameters_and_results() -> None:
    data = made(section(TYPE, vector([functype(b"\x7f" * 1000, b"\x7e" * 1000)])))
    assert list(outline(data).types()) == [(b"\x7f" * 1000, b"\x7e" * 1000)]
    wasmtime.Module(wasmtime.Engine(), data)


def test_a_name_may_have_a_hundred_thousand_bytes() -> None:
    data = made(custom(b"n" * 100_000))
    assert len(outline(data).customs[0][0]) == 100_000
    wasmtime.Module(wasmtime.Engine(), data)


def test_the_order_of_sections_is_the_engines() -> None:
    empty = {
        **{s: section(s, b"\0") for s in (TYPE, IMPORT, FUNCTION, TABLE, MEMORY, TAG, wasm.GLOBAL, EXPORT)},
        **{s: section(s, b"\0") for s in (wasm.ELEMENT, wasm.DATA_COUNT, CODE, DATA)},
    }
    order = [s for s in wasm.ORDER if s != START]
    data = made(*(empty[s] for s in order))
    outline(data)
    wasmtime.Module(wasmtime.Engine(), data)
    for i in range(len(order) - 1):
        swapped = [*order[:i], order[i + 1], order[i], *order[i + 2 :]]
        refused(made(*(empty[s] for s in swapped)), "order")


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 4))
def test_integers_of_any_length(value: int, padding: int) -> None:
    short = leb(value)
    padded = (
        bytes([*(b | 0x80 for b in short[:-1]), short[-1] | 0x80, *[0x80] * (padding - 1), 0]) if padding else short
    )
    data = made(section(EXPORT, leb(1) + name("f") + b"\0" + padded))
    if len(padded) <= 5:
        assert list(outline(data).exports()) == [("f", "function")]
    else:
        with pytest.raises(ParseError):
            list(outline(data).exports())


@pytest.mark.parametrize(
    "data",
    [
        made(section(EXPORT, vector([export("x")] * (wasm.MAX_ENTRIES + 1)))),
        made(section(IMPORT, vector([imported("a", "b")] * (wasm.MAX_ENTRIES + 1)))),
        made(custom("") * (wasm.MAX_ENTRIES + 1)),
    ],
    ids=["exports", "imports", "sections"],
)
def test_reading_stops_after_many_entries(data: bytes) -> None:
    with pytest.raises(wasm.TooLong):
        read_all(outline(data))


@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_outline_or_an_error(data: bytes) -> None:
    for each in (data, HEADER + data):
        try:
            read_all(outline(each))
        except ParseError as e:
            assert 0 <= e.offset <= len(each)
