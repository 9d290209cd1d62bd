"""The runner: the process that runs the guest. It holds no key, and nothing else that the guest must not have.

Descriptors 0, 1 and 2 are pipes to the keeper and the guest's stdio. The runner reads machine code from the compiler and
one order from the keeper, and sends one result:

    keeper    order: u32 length, then a CBOR map
    compiler  verdict, u64 length, then code or an error text (`guest.compiler`)
    runner    LOADED once the compiler's output is complete, then the result, a CBOR map

A guest that escapes controls this process, so the keeper trusts the result as little as it trusts the guest.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from typing import Any

from enarx.errors import EnarxError
from enarx.formats import bounds
from enarx.formats.config import Limits
from enarx.formats.wire import decode, encode
from enarx.keep import sandbox
from enarx.keep.children import Child, fork
from enarx.keep.guest import collector, compiler, wasi
from enarx.record import record

MAX_RESULT = 64 << 10
LOADED = b"\0"
"""Sent before the run starts. A result, being a CBOR map, never starts with this byte."""

NO_CODE = "the compiler ended without a result"
SIZE = 4
"""Bytes of an order's length."""

MAX_FILES = (1 << 16) + bounds.OWN_FILES
"""The most descriptors of a process in a Keep: the largest `limits.open_files`, plus the runner's own."""

MAX_PROCESSES = bounds.processes(os.cpu_count() or 1)


@record(kw_only=False)
class Handle:
    """The keeper's side of the processes; `stdin`, `stdout` and `stderr` are its ends of the guest's pipes."""

    child: Child
    compilation: compiler.Compilation
    collection: collector.Collection
    orders: socket.socket
    stdin: int
    stdout: int
    stderr: int


def spawn(isolation: sandbox.Isolation, skip: frozenset[str]) -> Handle:
    """Fork compiler, collector and runner. The keeper must call this before it creates any key."""
    orders, runner_orders = socket.socketpair()
    module, compiler_module = socket.socketpair()
    results, collector_results = socket.socketpair(type=socket.SOCK_SEQPACKET)
    code, stdin, stdout, stderr, files = os.pipe(), os.pipe(), os.pipe(), os.pipe(), os.pipe()

    def compile() -> None:
        sandbox.close_others(frozenset((compiler_module.fileno(), code[1])))
        compiler.main(compiler_module, code[1], skip=skip)

    def collect() -> None:
        sandbox.close_others(frozenset((collector_results.fileno(), files[1])))
        collector.main(collector_results, files[1], isolation.data, skip=skip, nproc=MAX_PROCESSES)

    def run() -> None:
        for target, fd in enumerate((stdin[0], stdout[1], stderr[1])):
            os.dup2(fd, target)
        sandbox.close_others(frozenset((0, 1, 2, runner_orders.fileno(), code[0])))
        result = _run(runner_orders, code[0], isolation, skip)
        runner_orders.sendall(encode(result)[:MAX_RESULT])

    compiling, running, collecting = fork(compile), fork(run), fork(collect)
    for end in (runner_orders, compiler_module, collector_results):
        end.close()
    for fd in (*code, stdin[0], stdout[1], stderr[1], files[1]):
        os.close(fd)
    compilation = compiler.Compilation(compiling, module)
    collection = collector.Collection(collecting, results, files[0])
    return Handle(running, compilation, collection, orders, stdin[1], stdout[0], stderr[0])


def send(orders: socket.socket, value: dict[str, Any]) -> None:
    """Send the runner its one order: the length, then the bytes."""
    data = encode(value)
    orders.sendall(len(data).to_bytes(SIZE, "big") + data)


def _receive(orders: socket.socket) -> dict[str, Any]:
    size = int.from_bytes(_exactly(orders, SIZE), "big")
    value: Any = decode(_exactly(orders, size), "order")
    return dict(value)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = source.recv(size - len(data))
        if not piece:
            os._exit(0)  # the keeper has exited, which ends the Keep
        data += piece
    return data


def _run(orders: socket.socket, code_in: int, isolation: sandbox.Isolation, skip: frozenset[str]) -> dict[str, Any]:
    try:
        sandbox.confine(
            sandbox.RUNNER,
            skip=skip,
            nofile=MAX_FILES,
            nproc=MAX_PROCESSES,
            read_only=(isolation.secrets,),
            read_write=(isolation.data,),
        )
        stage = wasi.Stage(fuel=False)  # before the order arrives, which may take long
        given = _receive(orders)
        order = _order(given)
        if order.limits.fuel is not None:
            stage = wasi.Stage(fuel=True)
        _limit(order.limits.open_files, given["data"])
        loaded = _load(stage, code_in, orders, skip)
        if isinstance(loaded, dict):
            return loaded
        start = time.monotonic()
        result = loaded.run(order)
        return {**result, "milliseconds": wasi.milliseconds_since(start)}
    except EnarxError as e:
        return {"cause": "failed", "message": e.message}
    except MemoryError:
        return {"cause": "memory", "message": "the runner was refused more memory"}


def _load(stage: wasi.Stage, code_in: int, orders: socket.socket, skip: frozenset[str]) -> wasi.Guest | dict[str, Any]:
    """Read the compiler's output to its end, tell the keeper, and load the code; return a result if that fails.

    Waiting for the end of the pipe makes sure that no code runs while the compiler still writes.
    """
    header = _read(code_in, 1 + compiler.SIZE)
    verdict, size = header[:1], int.from_bytes(header[1:], "big")
    code = _read(code_in, size)
    trailing = os.read(code_in, 1)
    os.close(code_in)
    if len(header) < 1 + compiler.SIZE or len(code) < size or trailing:
        return {"cause": "failed", "message": NO_CODE}  # the keeper finds the reason
    if verdict == compiler.BAD:
        return {"cause": "failed", "message": f"not a valid module: {code.decode(errors='replace')}"}
    orders.sendall(LOADED)
    loaded = wasi.Guest(stage, code)
    sandbox.forbid_new_code(skip=skip)
    return loaded


def _read(fd: int, size: int) -> bytes:
    """Read `size` bytes, or fewer if the compiler closes the pipe."""
    data = bytearray()
    while len(data) < size and (piece := os.read(fd, min(size - len(data), 1 << 20))):
        data += piece
    return bytes(data)


def _limit(open_files: int, data: int) -> None:
    """Limit descriptors, and memory in bytes, of this process; a cgroup, if there is one, bounds all of the Keep together."""
    files = open_files + bounds.OWN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))


def _order(order: dict[str, Any]) -> wasi.Order:
    return wasi.Order(
        args=tuple(order["args"]),
        env=tuple(order["env"].items()),
        dirs=tuple((path, name, writable) for path, name, writable in order["dirs"]),
        limits=Limits.from_public(order["limits"]),
    )
