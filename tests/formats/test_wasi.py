"""The table of WASI preview 1 is what wasmtime provides, which a Keep runs."""

from __future__ import annotations

import pytest
import wasmtime

from enarx.formats import wasi

BYTES = {"i32": 0x7F, "i64": 0x7E}


def test_every_function_is_the_engines() -> None:
    linker = wasmtime.Linker(wasmtime.Engine())
    linker.define_wasi()
    store = wasmtime.Store(linker.engine)
    for name in wasi.FUNCTIONS:
        function = linker.get(store, wasi.PREVIEW1, name)
        assert isinstance(function, wasmtime.Func)
        type = function.type(store)
        got = tuple(bytes(BYTES[str(each)] for each in side) for side in (type.params, type.results))
        assert got == wasi.type_of(name), name


OTHERS = [
    "sock_open",
    "sock_connect",
    "sock_bind",
    "sock_listen",
    "sock_addr_resolve",
    "fd_dup",
    "proc_spawn",
    "thread_spawn",
]
"""Functions of later proposals and of other engines."""


def test_functions_of_other_engines_are_not_the_engines() -> None:
    linker = wasmtime.Linker(wasmtime.Engine())
    linker.define_wasi()
    store = wasmtime.Store(linker.engine)
    for name in OTHERS:
        assert not wasi.provided(wasi.PREVIEW1, name)
        with pytest.raises(wasmtime.WasmtimeError):
            linker.get(store, wasi.PREVIEW1, name)


def test_what_is_provided() -> None:
    assert wasi.provided("wasi_snapshot_preview1", "fd_write")
    assert wasi.provided("wasi_unstable", "fd_write")
    assert wasi.provided("wasi_snapshot_preview1", "sock_accept")
    for module, name in [("wasi_unstable", "sock_open"), ("env", "fd_write"), ("wasi_snapshot_preview1", "fd_writ")]:
        assert not wasi.provided(module, name)
