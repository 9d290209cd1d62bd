"""The compiler: a process without keys that turns one module into machine code and ends.

It shares nothing with the keeper but one private socket, from which it reads the module, and with the runner but one
pipe, to which it writes the code. Neither is ever seen by the host. What it makes is trusted exactly as far as the
runner that loads it: a module that breaks the compiler has won no more than the guest has anyway.
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
"""Before the module: whether it counts fuel, its size in bytes, and the bytes that compiling it may take."""

STARVED = 77
"""Exit status where Python itself got no more memory."""

SPARE_SECONDS = 5
"""Between the signal at the limit of processor time, which names it, and the kill that cannot be caught."""

SMALLEST = b"\0asm\1\0\0\0"
SIZE = 8
"""Bytes of the length that stands between verdict and code."""


def main(source: socket.socket, target: int, *, skip: frozenset[str]) -> None:
    """Read an order and its module, compile, write a verdict byte, a length, and the code (or what is wrong); return.

    What can be done before the module is here is done before: the order may be long in coming.
    """
    sandbox.confine(sandbox.COMPILER, skip=skip, nofile=MAX_FILES, nproc=MAX_PROCESSES)
    wasi.compile_module(SMALLEST, fuel=False)
    order = _read(source, ORDER.size)
    if len(order) < ORDER.size:
        return  # the keeper is gone, and so is the Keep
    fuel, size, memory = ORDER.unpack(order)
    _bound(size, memory)
    try:
        module = _read(source, size)
        if len(module) < size:
            return
        verdict, answer = OK, wasi.compile_module(bytes(module), fuel=fuel)
    except MemoryError:
        os._exit(STARVED)
    except wasmtime.WasmtimeError as e:
        verdict, answer = BAD, str(e).encode()[:2000]
    rest = memoryview(verdict + len(answer).to_bytes(SIZE, "big") + answer)
    while rest:
        rest = rest[os.write(target, rest) :]


def _read(source: socket.socket, size: int) -> bytearray:
    """As many bytes, or fewer if the keeper ends before."""
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size and (count := source.recv_into(view[have:])):
        have += count
    return data[:have]


def _bound(size: int, memory: int) -> None:
    """Limits that hold even where a module takes this process over, which can lower them and no more."""
    data = bounds.process_memory(memory=0, compile=memory)
    seconds = bounds.compile_seconds(size)
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + SPARE_SECONDS))


class Compilation:
    """The keeper's side: one module handed over, and what became of it."""

    def __init__(self, child: Child, source: socket.socket) -> None:
        self.child = child
        self.wall = 0.0
        self._source = source
        self._memory = self._seconds = 0

    def start(self, module: bytes, *, fuel: bool, memory: int) -> None:
        """Send it. `memory` is what compiling it may take."""
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
        """Why it ended without a verdict; empty if it gave one."""
        status = self.child.status
        if status is None or status == 0:
            return ""
        if status == signal.SIGXCPU:
            return f"the compiler took more than {self._seconds} s of processor time"
        starved = status in (signal.SIGKILL, STARVED << 8) or 2 * self.child.peak > self._memory
        if starved:
            return f"the compiler took more than {self._memory >> 20} MiB: raise limits.compile"
        return f"the compiler failed: it ended with status {status:#x}"
