"""The compiler: a process without keys that turns one module into machine code and exits.

It has two descriptors: a socket to the keeper, from which it reads the module, and a pipe to the runner, to which it
writes the code. The host sees neither. The runner is trusted no more than the guest, so machine code from a compiler that
a module has taken over gains that module nothing: it would have run as the guest anyway.

    keeper    ORDER, then the module
    compiler  verdict (OK or BAD), two u64 lengths, then machine code and that of the adapter (`guest.unstable`), which
              may be empty; or an error text and nothing
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct

import wasmtime

from enarx.errors import DeliveryError
from enarx.formats import bounds
from enarx.keep import sandbox
from enarx.keep.children import Child
from enarx.keep.guest import wasi

MAX_FILES = 64
MAX_PROCESSES = bounds.processes(os.cpu_count() or 1)
OK, BAD = b"\1", b"\0"
ORDER = struct.Struct(">?QQ")
"""Precedes the module: whether to count fuel, the module's size in bytes, and the compiler's memory limit in bytes."""

STARVED = 77
"""Exit status after a MemoryError."""

SPARE_SECONDS = 5
"""From SIGXCPU at the limit of processor time, which tells the keeper the reason, to SIGKILL."""

SMALLEST = b"\0asm\1\0\0\0"
"""The empty module."""

SIZES = struct.Struct(">QQ")
"""The lengths between verdict and code."""


def main(source: socket.socket, target: int, *, skip: frozenset[str]) -> None:
    """Confine this process, then compile one module from `source` to `target`.

    Compiling the empty module first loads what the compiler needs, while the keeper still waits for the package.
    """
    sandbox.confine(sandbox.COMPILER, skip=skip, nofile=MAX_FILES, nproc=MAX_PROCESSES)
    wasi.compile_module(SMALLEST, fuel=False)
    order = _read(source, ORDER.size)
    if len(order) < ORDER.size:
        return  # the keeper has exited, which ends the Keep
    fuel, size, memory = ORDER.unpack(order)
    _bound(size, memory)
    try:
        module = _read(source, size)
        if len(module) < size:
            return
        verdict, (answer, adapter) = OK, wasi.compile_module(bytes(module), fuel=fuel)
    except MemoryError:
        os._exit(STARVED)
    except wasmtime.WasmtimeError as e:
        verdict, answer, adapter = BAD, wasi.first_line(e).encode(), b""
    rest = memoryview(verdict + SIZES.pack(len(answer), len(adapter)) + answer + adapter)
    while rest:
        rest = rest[os.write(target, rest) :]


def _read(source: socket.socket, size: int) -> bytearray:
    """Read `size` bytes, or fewer if the keeper closes the socket."""
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size and (count := source.recv_into(view[have:])):
        have += count
    return data[:have]


def _bound(size: int, memory: int) -> None:
    """Limit memory and processor time. A module that takes the process over cannot raise a limit again."""
    data = bounds.process_memory(memory=0, compile=memory)
    seconds = bounds.compile_seconds(size)
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + SPARE_SECONDS))


class Compilation:
    """The keeper's side of one compilation. `wall` is the most that it may take, in seconds of wall-clock time."""

    def __init__(self, child: Child, source: socket.socket) -> None:
        self.child = child
        self.wall = 0.0
        self._source = source
        self._memory = self._seconds = 0

    def start(self, module: bytes, *, fuel: bool, memory: int) -> None:
        """Send the module. `memory` is the compiler's limit in bytes. DeliveryError 'compiler' if it does not read on."""
        self._memory, self._seconds = memory, bounds.compile_seconds(len(module))
        self.wall = float(bounds.WALL_FACTOR * self._seconds)
        self._source.settimeout(self.wall)
        try:
            self._source.sendall(ORDER.pack(fuel, len(module), memory))
            self._source.sendall(module)
        except OSError:
            self.child.kill()
            self.child.reap(wait=True)
            raise DeliveryError("compiler", self.failure() or "the compiler ended early", state="receiving") from None
        self._source.close()

    def failure(self) -> str:
        """Explain why the compiler exited without a verdict; empty while it runs, or if it gave one."""
        status = self.child.status
        if status is None or status == 0:
            return ""
        if status == signal.SIGXCPU:
            return f"the compiler took more than {self._seconds} s of processor time"
        starved = status in (signal.SIGKILL, STARVED << 8) or 2 * self.child.peak > self._memory
        if starved:
            return f"the compiler took more than {self._memory >> 20} MiB: raise limits.compile"
        return f"the compiler failed: it ended with status {status:#x}"
