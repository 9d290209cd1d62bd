"""How the guest is compiled and run: the one place that speaks to wasmtime, used by compiler and runner alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import wasmtime

from enarx.formats.bounds import MIB, TABLE_COUNT, TABLE_ELEMENTS
from enarx.record import record

ARGV0 = "main.wasm"
BACKTRACE_MAX = 16 << 10
PAGE = 65536


def engine(*, fuel: bool) -> wasmtime.Engine:
    """The engine of every Keep. Compiler and runner must agree on it, or the runner refuses the code.

    Proposals without users here are off: less to go wrong. Copy-on-write images are on for the compiler's sake: without
    them it writes a Go program's data as code, at seven times the memory. The runner has no memfd, and copies.
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


def compile_module(module: bytes, *, fuel: bool) -> bytes:
    """Machine code for this CPU, in wasmtime's serialized form; wasmtime.WasmtimeError if the module is not valid."""
    return bytes(wasmtime.Module(engine(fuel=fuel), module).serialize())


@record()
class Order:
    """What to run it with. `dirs` are (path in the Keep, path for the guest, writable); times in milliseconds."""

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    dirs: tuple[tuple[str, str, bool], ...]
    memory: int
    fuel: int | None
    milliseconds: int | None


class Stage:
    """All that a guest needs but itself."""

    def __init__(self, *, fuel: bool) -> None:
        self.engine = engine(fuel=fuel)
        self.linker = wasmtime.Linker(self.engine)
        self.linker.define_wasi()


class Guest:
    """A loaded module, ready to run once. Making it needs the right to make memory executable; running does not."""

    def __init__(self, stage: Stage, code: bytes) -> None:
        self._engine, self._linker = stage.engine, stage.linker
        self._module = wasmtime.Module.deserialize(self._engine, code)

    def run(self, order: Order) -> dict[str, Any]:
        """Run `_start` to its end; returns cause, code, message, backtrace, memory (bytes) for the final status."""
        store = wasmtime.Store(self._engine)
        store.set_limits(order.memory, TABLE_ELEMENTS, instances=1, tables=TABLE_COUNT, memories=1)
        store.set_epoch_deadline(1)
        if order.fuel is not None:
            store.set_fuel(order.fuel)
        store.set_wasi(_wasi(order))
        timer = self._timer(order.milliseconds)
        try:
            return self._run(store, order.memory)
        finally:
            timer.cancel()

    def _run(self, store: wasmtime.Store, limit: int) -> dict[str, Any]:
        """Instantiating runs the module's start function: its exit, trap or time limit count as those of `_start`."""
        made: list[wasmtime.Instance] = []
        try:
            result = _call(lambda: made.append(self._linker.instantiate(store, self._module)))
        except wasmtime.WasmtimeError as e:
            return {"cause": "failed", "message": f"the module cannot be started: {_named(_first_line(e), limit)}"}
        if not made:
            return result
        exports = made[0].exports(store)
        start = exports.get("_start")
        if not isinstance(start, wasmtime.Func):
            return {"cause": "failed", "message": "the module exports no function _start: it is not a WASI command"}
        try:
            result = _call(lambda: start(store))
        except wasmtime.WasmtimeError as e:
            result = {"cause": "trap", "message": _first_line(e)}
        memory = max((m.data_len(store) for m in exports.values() if isinstance(m, wasmtime.Memory)), default=0)
        return _judge({**result, "memory": memory}, limit)

    def _timer(self, milliseconds: int | None) -> threading.Timer:
        """Counts the engine's epoch up when time is over, which stops a computing guest with a trap."""
        timer = threading.Timer((milliseconds or 0) / 1000, self._engine.increment_epoch)
        timer.daemon = True
        if milliseconds is not None:
            timer.start()
        return timer


def _wasi(order: Order) -> wasmtime.WasiConfig:
    wasi = wasmtime.WasiConfig()
    wasi.argv = [ARGV0, *order.args]
    wasi.env = order.env
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for path, guest, writable in order.dirs:
        wasi.preopen_dir(path, guest, writable)
    return wasi


def _call(run: Callable[[], object]) -> dict[str, Any]:
    """How the guest's own code ended; WasmtimeError if it did not come to run."""
    try:
        run()
    except wasmtime.ExitTrap as e:
        return {"cause": "exit", "code": e.code}
    except wasmtime.Trap as e:
        cause = {wasmtime.TrapCode.INTERRUPT: "time"}.get(e.trap_code, "trap") if e.trap_code else "trap"
        return {"cause": cause, "message": _first_line(e), "backtrace": _backtrace(e)}
    return {"cause": "exit", "code": 0}


def _named(line: str, limit: int) -> str:
    """wasmtime's words on a limit, with the limit."""
    words = line.split()
    if "exceeds memory limits" in line:
        pages = next((int(word) for word in words if word.isdigit()), 0)
        return f"it wants {-(-pages * PAGE // MIB)} MiB of memory at least, limits.memory is {limit / MIB:.4g} MiB"
    if "exceeds table limits" in line:
        return f"{line}: a table has at most {TABLE_ELEMENTS} elements"
    return f"{line}: a module has at most {TABLE_COUNT} tables" if "table count too high" in line else line


def _judge(result: dict[str, Any], limit: int) -> dict[str, Any]:
    """A guest that fails with its memory nearly full has most likely been refused more: say so, as the guess it is."""
    failed = result["cause"] == "trap" or result.get("code", 0) != 0
    if failed and 4 * result["memory"] >= 3 * limit:
        why = f"probably memory: {result['memory'] >> 20} MiB in use at a limit of {limit >> 20} MiB"
        result["message"] = f"{result['message']}; {why}" if result.get("message") else why
    return result


def _first_line(e: Exception) -> str:
    """The innermost cause that wasmtime names, in one line of at most 500 characters."""
    text = e.message if isinstance(e, wasmtime.Trap) else str(e)
    _, chained, causes = text.partition("Caused by:")
    lines = [line.strip() for line in (causes if chained else text).splitlines() if line.strip()]
    line = (lines[-1] if chained else lines[0]) if lines else "unknown trap"
    number, numbered, rest = line.partition(": ")
    return (rest if numbered and number.isdigit() else line).removeprefix("wasm trap: ")[:500]


def _backtrace(trap: wasmtime.Trap) -> str:
    """One line a frame, innermost first."""
    lines = [
        f"{i}: {frame.func_name or f'<function {frame.func_index}>'} at 0x{frame.module_offset:x}"
        for i, frame in enumerate(trap.frames)
    ]
    return "\n".join(lines)[:BACKTRACE_MAX]


def milliseconds_since(start: float) -> int:
    """Wall time since a reading of the monotonic clock."""
    return round((time.monotonic() - start) * 1000)
