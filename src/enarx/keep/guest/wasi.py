"""How a guest is compiled and run: the only module that calls wasmtime, for compiler and runner alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import wasmtime

from enarx.formats.bounds import MIB, TABLE_COUNT, TABLE_ELEMENTS
from enarx.formats.config import Limits
from enarx.record import record

BACKTRACE_MAX = 16 << 10
"""Characters of the longest backtrace."""

PAGE = 65536
"""Bytes of a page of linear memory."""


def _unstable() -> Any:
    try:
        from enarx.keep.guest import unstable
    except ImportError:
        return None
    return unstable


UNSTABLE = _unstable()
"""The code for `wasi_unstable`; None in a Keep without the profile `unstable`, where the import stays unknown."""

ENTRIES = ("", "_start")
"""The exports that can be a command's entry, in the order of the wasmtime command: its default export comes first."""


def engine(*, fuel: bool) -> wasmtime.Engine:
    """Return an engine. Compiler and runner need the same settings, or the runner refuses the code.

    Proposals that no supported guest needs are off. Copy-on-write images stay on for the compiler: without them it emits
    the data of a Go program as code, which takes seven times the memory. The runner has no memfd, so it copies the data.
    """
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.consume_fuel = fuel
    config.wasm_threads = False
    config.shared_memory = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_function_references = False
    config.wasm_gc = False
    config.wasm_wide_arithmetic = False
    return wasmtime.Engine(config)


def compile_module(module: bytes, *, fuel: bool) -> tuple[bytes, bytes]:
    """Return machine code for this CPU, as wasmtime serializes it, and that of the adapter if the module may need it.

    WasmtimeError if the module is not valid.
    """
    settings = engine(fuel=fuel)
    code = bytes(wasmtime.Module(settings, module).serialize())
    if UNSTABLE is None or UNSTABLE.NAME.encode() not in module:
        return code, b""
    return code, bytes(wasmtime.Module(settings, UNSTABLE.ADAPTER).serialize())


@record(hidden=("args", "env"))
class Order:
    """How to run the guest. `args` starts with its own name. `dirs` holds (path in the Keep, path for the guest, writable)."""

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    dirs: tuple[tuple[str, str, bool], ...]
    limits: Limits


class Stage:
    """The engine and linker of a guest, which can be created before its code arrives."""

    def __init__(self, *, fuel: bool) -> None:
        self.engine = engine(fuel=fuel)
        self.linker = wasmtime.Linker(self.engine)
        self.linker.define_wasi()


class Guest:
    """A loaded module, to be run once. The constructor maps executable memory; `run` needs no right to do so."""

    def __init__(self, stage: Stage, code: bytes, adapter: bytes = b"") -> None:
        self._engine, self._linker = stage.engine, stage.linker
        self._module = wasmtime.Module.deserialize(self._engine, code)
        self._adapter = wasmtime.Module.deserialize(self._engine, adapter) if adapter else None

    def run(self, order: Order) -> dict[str, Any]:
        """Run the module to its end; return the fields of the final status: cause, code, message, backtrace, memory."""
        store = wasmtime.Store(self._engine)
        limits = order.limits
        store.set_limits(limits.memory, TABLE_ELEMENTS, instances=2, tables=TABLE_COUNT, memories=1)
        store.set_epoch_deadline(1)
        if limits.fuel is not None:
            store.set_fuel(limits.fuel)
        store.set_wasi(_wasi(order))
        if UNSTABLE is not None and self._adapter is not None:
            UNSTABLE.define(self._linker, store, self._module, self._adapter)
        timer = self._timer(limits.time)
        try:
            return self._run(store, limits.memory)
        finally:
            timer.cancel()

    def _run(self, store: wasmtime.Store, limit: int) -> dict[str, Any]:
        """Instantiate and run. The module's start function runs first, and its end counts as that of `_start` does."""
        instances: list[wasmtime.Instance] = []
        try:
            result = _call(lambda: instances.append(self._linker.instantiate(store, self._module)))
        except wasmtime.WasmtimeError as e:
            return {"cause": "failed", "message": f"the module cannot be started: {_named(first_line(e), limit)}"}
        if not instances:
            return result
        exports = instances[0].exports(store)
        start = next((f for f in map(exports.get, ENTRIES) if isinstance(f, wasmtime.Func)), None)
        if start is None:
            return {"cause": "failed", "message": "the module exports no function _start: it is not a WASI command"}
        try:
            result = _call(lambda: start(store))
        except wasmtime.WasmtimeError as e:
            result = {"cause": "trap", "message": first_line(e)}
        memory = max((m.data_len(store) for m in exports.values() if isinstance(m, wasmtime.Memory)), default=0)
        return _explain({**result, "memory": memory}, limit)

    def _timer(self, seconds: float | None) -> threading.Timer:
        """Return a timer, started if there is a limit, that raises the engine's epoch: the guest then traps."""
        timer = threading.Timer(seconds or 0, self._engine.increment_epoch)
        timer.daemon = True
        if seconds is not None:
            timer.start()
        return timer


def _wasi(order: Order) -> wasmtime.WasiConfig:
    wasi = wasmtime.WasiConfig()
    wasi.argv = order.args
    wasi.env = order.env
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for path, guest, writable in order.dirs:
        wasi.preopen_dir(path, guest, writable)
    return wasi


def _call(run: Callable[[], object]) -> dict[str, Any]:
    """Run guest code and return how it ended. WasmtimeError if it did not start."""
    try:
        run()
    except wasmtime.ExitTrap as e:
        return {"cause": "exit", "code": e.code}
    except wasmtime.Trap as e:
        cause = {wasmtime.TrapCode.INTERRUPT: "time"}.get(e.trap_code, "trap") if e.trap_code else "trap"
        return {"cause": cause, "message": first_line(e), "backtrace": _backtrace(e)}
    return {"cause": "exit", "code": 0}


def _named(line: str, limit: int) -> str:
    """Add the limit in question to wasmtime's message about it."""
    words = line.split()
    if "exceeds memory limits" in line:
        pages = next((int(word) for word in words if word.isdigit()), 0)
        return f"it needs {-(-pages * PAGE // MIB)} MiB of memory at least, limits.memory is {limit / MIB:.4g} MiB"
    if "exceeds table limits" in line:
        return f"{line}: a table has at most {TABLE_ELEMENTS} elements"
    return f"{line}: a module has at most {TABLE_COUNT} tables" if "table count too high" in line else line


def _explain(result: dict[str, Any], limit: int) -> dict[str, Any]:
    """Name memory as the probable reason if a guest fails with three quarters of its limit in use."""
    failed = result["cause"] == "trap" or result.get("code", 0) != 0
    if failed and 4 * result["memory"] >= 3 * limit:
        why = f"probably memory: {result['memory'] >> 20} MiB in use at a limit of {limit >> 20} MiB"
        result["message"] = f"{result['message']}; {why}" if result.get("message") else why
    return result


def first_line(e: Exception) -> str:
    """Return the innermost cause in wasmtime's message: one line of at most 500 characters."""
    text = e.message if isinstance(e, wasmtime.Trap) else str(e)
    _, chained, causes = text.partition("Caused by:")
    lines = [line.strip() for line in (causes if chained else text).splitlines() if line.strip()]
    line = (lines[-1] if chained else lines[0]) if lines else "unknown trap"
    number, numbered, rest = line.partition(": ")
    return (rest if numbered and number.isdigit() else line).removeprefix("wasm trap: ")[:500]


def _backtrace(trap: wasmtime.Trap) -> str:
    """Return one line for each frame, innermost first."""
    lines = [
        f"{i}: {frame.func_name or f'<function {frame.func_index}>'} at 0x{frame.module_offset:x}"
        for i, frame in enumerate(trap.frames)
    ]
    return "\n".join(lines)[:BACKTRACE_MAX]


def milliseconds_since(start: float) -> int:
    """Return the milliseconds since `start`, a reading of the monotonic clock."""
    return round((time.monotonic() - start) * 1000)
