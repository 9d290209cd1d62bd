"""WASI as old modules import it, under the name `wasi_unstable`, on top of preview 1.

Preview 1 kept most functions as they were, and a guest calls these directly. Three things changed, and are adapted here: the
order of `whence`, and the layouts of a file status and of a subscription. legacy/preview0 of the WASI repository specifies them.

wasmtime's functions look for the guest's memory among the exports of their caller, and Python code has none. So the calls go
through ADAPTER, an instance that exports the guest's memory. The compiler adds it to the code of modules that may need it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import wasmtime

NAME, PREVIEW1 = "wasi_unstable", "wasi_snapshot_preview1"
ADDRESS = 0xFFFFFFFF
"""Masks an address, which Python gets as a signed number."""

INVALID = 28
"""The error number of an invalid argument."""

SUBSCRIPTION, CLOCK = 56, 0
"""Bytes of a subscription, and the kind of one to a clock: 8 bytes of user data, 8 for the kind, then what depends on the kind."""

ADAPTER = """(module
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $path (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "guest" "memory" (memory 0))
  (export "memory" (memory 0))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32)
    (call $fd_seek (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (call $fd (local.get 0) (local.get 1)))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32)
    (call $path (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32)
    (call $poll (local.get 0) (local.get 1) (local.get 2) (local.get 3))))"""
"""In the text format: exports each changed function, which calls that of preview 1."""


def _seek(call: Callable[..., int], _: Any, __: Any, fd: int, offset: int, whence: int, out: int) -> int:
    """Current, end and start of the file were 0, 1 and 2, and are 1, 2 and 0."""
    return call(fd, offset, (whence + 1) % 3, out) if 0 <= whence <= 2 else INVALID


def _filestat(call: Callable[..., int], caller: Any, memory: Any, *arguments: int) -> int:
    """The number of links had 4 bytes, and has 8: the fields after it lie in place if the status begins 8 bytes earlier."""
    start = arguments[-1] - 8 & ADDRESS
    before = memory.read(caller, start, start + 8)
    error = call(*arguments[:-1], start)
    if not error:
        status = memory.read(caller, start, start + 32)  # device, inode, kind with padding, links
        memory.write(caller, before + status[:20] + status[24:28], start)
    return error


def _poll(call: Callable[..., int], caller: Any, memory: Any, subscriptions: int, *rest: int) -> int:
    """A clock's fields had an identifier before them. The guest's subscriptions are converted in place, and restored."""
    start, size = subscriptions & ADDRESS, (rest[1] & ADDRESS) * SUBSCRIPTION
    given = memory.read(caller, start, start + size)
    if not 0 < len(given) == size:
        return INVALID  # none, or not in memory
    each = (given[at : at + SUBSCRIPTION] for at in range(0, size, SUBSCRIPTION))
    memory.write(caller, b"".join(s[:16] + s[24:] if s[8] == CLOCK else s[:48] for s in each), start)
    error = call(subscriptions, *rest)
    memory.write(caller, given, start)
    return error


CHANGED: dict[str, Callable[..., int]] = {
    "fd_seek": _seek,
    "fd_filestat_get": _filestat,
    "path_filestat_get": _filestat,
    "poll_oneoff": _poll,
}


def define(linker: wasmtime.Linker, store: wasmtime.Store, guest: wasmtime.Module, adapter: wasmtime.Module) -> None:
    """Define the functions of `wasi_unstable` that the guest imports, for one run. Those that preview 1 lacks stay undefined."""
    exports: list[Any] = []

    def changed(name: str, caller: wasmtime.Caller, *arguments: int) -> int:
        if not exports:  # only now, as only a caller gives access to the guest's memory
            memory = caller.get("memory")
            if memory is None:
                raise wasmtime.WasmtimeError("missing required memory export")
            linker.define(caller, "guest", "memory", memory)
            exports.append(linker.instantiate(caller, adapter).exports(caller))
        return CHANGED[name](partial(exports[0][name], caller), caller, exports[0]["memory"], *arguments)

    for name in {str(each.name) for each in guest.imports if each.module == NAME}:
        try:
            function: Any = linker.get(store, PREVIEW1, name)
        except wasmtime.WasmtimeError:
            continue  # the instantiation names it
        if name in CHANGED:
            linker.define_func(NAME, name, function.type(store), partial(changed, name), access_caller=True)
        else:
            linker.define(store, NAME, name, function)
