"""The compiler: a process without keys that turns one module into machine code and ends.

It shares nothing with the keeper but one private socket, from which it reads the module, and with the runner but one
pipe, to which it writes the code. Neither is ever seen by the host. What it makes is trusted exactly as far as the
runner that loads it: a module that breaks the compiler has won no more than the guest has anyway.
"""

from __future__ import annotations

import os
import resource
import socket
import struct

import wasmtime

from enarx.keep import guest, sandbox

CPU_SECONDS = 600
MAX_FILES = 64
MAX_PROCESSES = 64 + 4 * (os.cpu_count() or 1)
OK, BAD = b"\1", b"\0"
ORDER = struct.Struct(">?Q")
"""Before the module: whether it counts fuel, and its size in bytes."""

SMALLEST = b"\0asm\1\0\0\0"
SIZE = 8
"""Bytes of the length that stands between verdict and code."""


def main(source: socket.socket, target: int, *, skip: frozenset[str]) -> None:
    """Read an order and its module, compile, write a verdict byte, a length, and the code (or what is wrong); return.

    What can be done before the module is here is done before: the order may be long in coming.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    sandbox.confine(sandbox.COMPILER, skip=skip, nofile=MAX_FILES, nproc=MAX_PROCESSES)
    guest.compile_module(SMALLEST, fuel=False)
    order = _read(source, ORDER.size)
    if len(order) < ORDER.size:
        return  # the keeper is gone, and so is the Keep
    fuel, size = ORDER.unpack(order)
    module = _read(source, size)
    if len(module) < size:
        return
    try:
        verdict, answer = OK, guest.compile_module(bytes(module), fuel=fuel)
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


def send(source: socket.socket, module: bytes, *, fuel: bool) -> None:
    """The keeper's side: the order and its module."""
    source.sendall(ORDER.pack(fuel, len(module)))
    source.sendall(module)
