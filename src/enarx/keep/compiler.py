"""The compiler: a process without keys that turns one module into machine code and ends.

It shares nothing with the keeper but one private socket, from which it reads the module, and with the runner but one
pipe, to which it writes the code. Neither is ever seen by the host. What it makes is trusted exactly as far as the
runner that loads it: a module that breaks the compiler has won no more than the guest has anyway.
"""

from __future__ import annotations

import os
import resource
import socket

import wasmtime

from enarx.keep import guest, sandbox

CPU_SECONDS = 600
MAX_FILES = 64
MAX_PROCESSES = 64 + 4 * (os.cpu_count() or 1)
OK, BAD = b"\1", b"\0"
SIZE = 8
"""Bytes of the length that stands between verdict and code."""


def main(source: socket.socket, target: int, *, size: int, fuel: bool, skip: frozenset[str]) -> None:
    """Read `size` bytes, compile, write a verdict byte, a length, and the code (or what is wrong), and return."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    sandbox.confine(sandbox.COMPILER, skip=skip, nofile=MAX_FILES, nproc=MAX_PROCESSES)
    module = bytearray(size)
    view = memoryview(module)
    while view:
        count = source.recv_into(view)
        if not count:
            return
        view = view[count:]
    try:
        verdict, answer = OK, guest.compile_module(bytes(module), fuel=fuel)
    except wasmtime.WasmtimeError as e:
        verdict, answer = BAD, str(e).encode()[:2000]
    rest = memoryview(verdict + len(answer).to_bytes(SIZE, "big") + answer)
    while rest:
        rest = rest[os.write(target, rest) :]
