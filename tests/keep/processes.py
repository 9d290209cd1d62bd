"""Processes in place of a Keep's runner, compiler and collector: Python that speaks their protocols, without a sandbox."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from enarx.formats.wire import encode
from enarx.keep.children import fork
from enarx.keep.guest import collector, compiler, runner

Guest = Callable[[socket.socket], None]
"""What runs in the runner's place, with the runner's end of `orders`; descriptors 0, 1, 2 are the guest's stdio."""


def told(orders: socket.socket) -> None:
    """Read the order."""
    size = int.from_bytes(orders.recv(runner.SIZE, socket.MSG_WAITALL), "big")
    orders.recv(size, socket.MSG_WAITALL)


def echo(orders: socket.socket) -> None:
    """A guest that sends stdin back, and exits with 7 at its end."""
    told(orders)
    orders.sendall(runner.LOADED)
    while data := os.read(0, 1 << 16):
        while data:
            data = data[os.write(1, data) :]
    orders.sendall(encode({"cause": "exit", "code": 7}))


def compiles(source: socket.socket) -> None:
    """A compiler that takes its module, and has no fault to find."""
    while source.recv(1 << 16):
        continue


Collector = Callable[[socket.socket, int], None]
"""What runs in the collector's place, with its ends of the link and of the stream."""


def collects(link: socket.socket, stream: int) -> None:
    """A collector that reports a directory of four bytes."""
    if link.recv(1 << 16):
        os.write(stream, bytes(4))
        link.send(encode([b"d" * 32]))


def spawn(
    guest: Guest = echo, compile: Callable[[socket.socket], None] = compiles, collect: Collector = collects
) -> runner.Handle:
    module, compiler_module = socket.socketpair()

    def work() -> None:
        module.close()
        compile(compiler_module)

    compiling = fork(work)  # before the pipes, whose ends it would hold until it has closed them
    link, collector_link = socket.socketpair(type=socket.SOCK_SEQPACKET)
    files = os.pipe()

    def gather() -> None:
        for end in (link, module, compiler_module):
            end.close()
        os.close(files[0])
        collect(collector_link, files[1])

    collecting = fork(gather)  # before the guest's pipes too
    orders, runner_orders = socket.socketpair()
    stdin, stdout, stderr = os.pipe(), os.pipe(), os.pipe()

    def run() -> None:
        for target, fd in enumerate((stdin[0], stdout[1], stderr[1])):
            os.dup2(fd, target)
        for fd in (*stdin, *stdout, *stderr, *files):
            os.close(fd)
        for end in (orders, module, compiler_module, link, collector_link):
            end.close()
        guest(runner_orders)

    running = fork(run)
    for end in (runner_orders, compiler_module, collector_link):
        end.close()
    for fd in (stdin[0], stdout[1], stderr[1], files[1]):
        os.close(fd)
    return runner.Handle(
        running,
        compiler.Compilation(compiling, module),
        collector.Collection(collecting, link, files[0]),
        orders,
        stdin[1],
        stdout[0],
        stderr[0],
    )


def close(handle: runner.Handle) -> None:
    """End the processes, and close what the test has not."""
    for child in (handle.child, handle.compilation.child, handle.collection.child):
        child.kill()
        child.reap(wait=True)
    handle.orders.close()
    handle.compilation._source.close()
    handle.collection._link.close()
