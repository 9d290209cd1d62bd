"""The keeper's view of the workload's processes: stdio pipes, results, and how the processes end.

`Watch` relies on pidfds and deadlines, never on descriptors that the runner could close or pass to others. It reports events to
the core, which counts, seals and decides.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from enarx.delivery.session import Status
from enarx.formats.wire import encode
from enarx.keep.core.deadlines import Now
from enarx.keep.core.machine import Core
from enarx.keep.guest import runner

PIECE = 256 << 10
MAX_RESULT = 64 << 10
REST = 16
"""Pieces to read from each pipe once the runner is gone: more than a pipe can hold."""

PATIENCE = 0.25
"""Seconds to wait for the compiler to exit, if the runner has reported that no code arrived."""

NO_CODE = encode({"cause": "failed", "message": runner.NO_CODE})
"""The runner's result if the compiler ended without a verdict. Only the keeper can see the reason."""


class Watch:
    """One run of one guest. Making it sends the runner its order; `bound` is the Keep's memory bound in bytes."""

    def __init__(
        self, handle: runner.Handle, core: Core, order: dict[str, Any], *, bound: int, now: Callable[[], Now]
    ) -> None:
        self._handle = handle
        self._core = core
        self._bound = bound
        self._now = now
        self._stdin: deque[memoryview] = deque()
        self._stdin_fd = handle.stdin
        self._stdin_ends = False
        self._outputs = {handle.stdout: 1, handle.stderr: 2}
        self._orders_open = True
        self._result = b""
        self._loaded = self._collecting = False
        for fd in (handle.stdin, handle.stdout, handle.stderr):
            os.set_blocking(fd, False)
        try:
            runner.send(handle.orders, order)
        except OSError:
            handle.child.kill()  # the runner has ended, or does not read

    def register(self, poll: select.poll, *, output: bool) -> None:
        """Register what to wait for; `output` is whether to read the guest's output."""
        if output:
            for fd in self._outputs:
                poll.register(fd, select.POLLIN)
        if self._orders_open:
            poll.register(self._handle.orders, select.POLLIN)
        if self._stdin_fd >= 0 and self._stdin:
            poll.register(self._stdin_fd, select.POLLOUT)
        if self._collecting and output:
            poll.register(self._handle.collection.stream, select.POLLIN)
        collecting = (self._handle.collection.child,) if self._collecting else ()
        for child in (self._handle.child, self._handle.compilation.child, *collecting):
            if child.status is None:
                poll.register(child, select.POLLIN)

    def turn(self, ready: dict[int, int]) -> None:
        """Handle the descriptors that are ready, and the runner's end."""
        self._handle.compilation.child.reap()
        for fd in [fd for fd in self._outputs if fd in ready]:
            self._read_output(fd)
        if self._orders_open and self._handle.orders.fileno() in ready:
            self._read_result()
        if self._stdin_fd in ready:
            self._feed()
        if self._collecting:
            self._pass_on(ready)
        elif self._handle.child.reap():
            self._finish()

    def collect(self, trees: tuple[tuple[int, str], ...], room: int) -> None:
        """Have the collector read output directories, now that the runner is dead."""
        self._collecting = True
        self._handle.collection.start(trees, room)

    def _pass_on(self, ready: dict[int, int]) -> None:
        """Pass on the collector's stream and, once it has ended, the rest and its report."""
        collection = self._handle.collection
        over = collection.child.reap()
        for _ in range(REST if over else collection.stream in ready):
            try:
                self._core.files(os.read(collection.stream, PIECE))
            except BlockingIOError:
                break
        if over:
            self._core.collected(collection.report(), self._now())

    def write_stdin(self, data: bytes) -> None:
        """Append to the bytes for the guest's stdin, and write what the pipe takes."""
        if self._stdin_fd >= 0:
            self._stdin.append(memoryview(data))
            self._feed()

    def drop_stdin(self) -> None:
        """Drop the bytes that the guest's pipe has not taken."""
        self._stdin.clear()

    def close_stdin(self) -> None:
        """Close the guest's stdin, once everything has been written."""
        self._stdin_ends = True
        self._feed()

    def kill(self) -> None:
        """Kill the runner with SIGKILL, or the collector if the runner is dead."""
        (self._handle.collection if self._collecting else self._handle).child.kill()

    def _feed(self) -> None:
        """Write what the guest's pipe takes, and report it."""
        written = 0
        while self._stdin:
            try:
                count = os.write(self._stdin_fd, self._stdin[0])
            except BlockingIOError:
                break
            except BrokenPipeError:
                self._drop_stdin()
                self._core.stdin_closed()
                return
            written += count
            self._stdin[0] = self._stdin[0][count:]
            if not self._stdin[0]:
                self._stdin.popleft()
        if self._stdin_ends and not self._stdin:
            self._drop_stdin()
        if written:
            self._core.stdin_written(written)

    def _drop_stdin(self) -> None:
        if self._stdin_fd >= 0:
            os.close(self._stdin_fd)
        self._stdin_fd = -1
        self._stdin.clear()

    def _read_output(self, fd: int) -> None:
        try:
            data = os.read(fd, PIECE)
        except BlockingIOError:
            return
        if data:
            self._core.output(self._outputs[fd], data)
        else:
            del self._outputs[fd]
            os.close(fd)

    def _read_result(self) -> bool:
        """Read from the runner, up to MAX_RESULT bytes in all; returns whether more may follow."""
        try:
            data = self._handle.orders.recv(MAX_RESULT - len(self._result), socket.MSG_DONTWAIT)
        except OSError:
            return False
        self._orders_open = bool(data)
        if not self._loaded and data.startswith(runner.LOADED):
            self._begin()
            data = data[len(runner.LOADED) :]
        self._result += data
        self._orders_open = self._orders_open and len(self._result) < MAX_RESULT
        return self._orders_open

    def _begin(self) -> None:
        """Note that the runner has the whole code, before the guest runs. The compiler is no longer needed."""
        self._loaded = True
        self._handle.compilation.child.kill()
        self._core.loaded(self._now())

    def _finish(self) -> None:
        """Report the end of the runner, after reading the rest of its pipes, even if other processes hold them open."""
        for fd in list(self._outputs) * REST:
            if fd in self._outputs:
                self._read_output(fd)
        while self._orders_open and self._read_result():
            continue
        compilation = self._handle.compilation
        if self._result == NO_CODE and not self._loaded and compilation.child.reap(seconds=PATIENCE):
            self._core.compile_failed(compilation.failure() or runner.NO_CODE)
        compilation.child.kill()
        self._outputs.clear()
        self._orders_open = False
        self._core.ended(self._result, _end_of(self._handle.child.status or 0, self._bound), self._now())


def _end_of(status: int, bound: int) -> Status:
    """Return the status of a runner without a credible result, from its wait status (os.wait4)."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        name = signal.Signals(os.WTERMSIG(status)).name
        return Status(cause="failed", message=f"the guest's process was ended by {name}")
    if os.WIFEXITED(status):
        return Status(cause="failed", message="the runner gave no result: a fault of the Keep")
    message = f"its process was killed, most likely at the Keep's bound of {bound >> 20} MiB: raise limits.memory"
    return Status(cause="memory", message=message)
