"""Output of a running workload: buffered until the program reads it, or passed on to a file or descriptor.

A thread writes verified bytes as they arrive. Unread bytes are buffered; once AHEAD bytes are, the writer waits, and the host
stores the rest. The writer never waits while the program waits for a stream or for the end, so a program may read one stream to
its end and then the other.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from enarx.delivery.session import STDERR, STDOUT

AHEAD = 4 << 20
"""The maximum number of buffered bytes of output."""

Sink = BinaryIO | int | None
"""The destination of a stream: a binary file, a descriptor, or None to buffer it."""


class Output:
    """The two output streams of one job, for one writer and any number of readers.

    `begun` is whether the workload has written anything. `error` is the reason if the output ended early. A reader gets it
    at the end, so truncated output never passes for complete.
    """

    def __init__(self, stdout: Sink = None, stderr: Sink = None) -> None:
        self._sinks: dict[int, Callable[[bytes], object] | None] = {STDOUT: writer(stdout), STDERR: writer(stderr)}
        self._waiting = {STDOUT: bytearray(), STDERR: bytearray()}
        self._changed = threading.Condition()
        self._readers = 0
        self._listeners: list[Callable[[], object]] = []
        self._ended = False
        self.begun = False
        self.error: BaseException | None = None
        self.stdout: BinaryIO = io.BufferedReader(_Stream(self, STDOUT))
        self.stderr: BinaryIO = io.BufferedReader(_Stream(self, STDERR))

    def write(self, kind: int, data: bytes) -> None:
        """Take bytes of STDOUT or STDERR. OSError from a sink."""
        self.begun = True
        with self._changed:
            self._changed.wait_for(lambda: self._readers or self._ended or self._sinks[kind] or self._size < AHEAD)
            sink = self._sinks[kind]
            if sink is None:
                self._waiting[kind] += data
                self._tell()
        if sink is not None:
            sink(data)

    def discard(self) -> None:
        """Drop all buffered and future output, so that the writer never waits."""
        with self._changed:
            self._sinks = dict.fromkeys(self._sinks, lambda data: None)
            for waiting in self._waiting.values():
                waiting.clear()
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Note the end of the output; `error` is the reason unless the workload ended by itself."""
        with self._changed:
            if not self._ended:
                self._ended, self.error = True, error
            self._tell()

    @property
    def ended(self) -> bool:
        """Has the last byte been written?"""
        return self._ended

    def ready(self, kind: int) -> bool:
        """Would reading this stream return at once?"""
        return self._ended or bool(self._waiting[kind])

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds for the end; returns whether it was reached. Meanwhile the writer never waits."""
        return self._wait(lambda: self._ended, timeout)

    def read_into(self, kind: int, out: memoryview) -> int:
        """The next bytes of a stream; 0 at its end. Raises `error` there."""
        waiting = self._waiting[kind]
        self._wait(lambda: self.ready(kind), None)
        with self._changed:
            size = min(len(out), len(waiting))
            out[:size] = waiting[:size]
            del waiting[:size]
            self._changed.notify_all()
        if not size and self.error is not None:
            raise self.error
        return size

    @contextlib.contextmanager
    def listener(self, listener: Callable[[], object]) -> Iterator[None]:
        """Count as a waiting reader; `listener` is called in the writer's thread whenever there is new output."""
        with self._changed:
            self._readers += 1
            self._listeners.append(listener)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._listeners.remove(listener)

    def _tell(self) -> None:
        self._changed.notify_all()
        for listener in self._listeners:
            listener()

    @property
    def _size(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _wait(self, condition: Callable[[], object], timeout: float | None) -> bool:
        with self._changed:
            self._readers += 1
            self._changed.notify_all()
            try:
                return bool(self._changed.wait_for(condition, timeout))
            finally:
                self._readers -= 1


class _Stream(io.RawIOBase):
    """One stream, as a file to read."""

    def __init__(self, output: Output, kind: int) -> None:
        self._output = output
        self._kind = kind

    def readable(self) -> bool:
        """True: the stream is for reading only."""
        return True

    def readinto(self, out: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer of bytes
        """Like RawIOBase; waits for at least one byte."""
        return self._output.read_into(self._kind, memoryview(out))


def writer(sink: Sink) -> Callable[[bytes], object] | None:
    """A function that writes all of its argument to the sink at once, past any buffer; None without a sink."""
    if sink is None:
        return None
    if isinstance(sink, int):
        descriptor = sink
        return lambda data: _write_all(lambda rest: os.write(descriptor, rest), data)
    if isinstance(sink, io.RawIOBase):
        raw = sink
        return lambda data: _write_all(lambda rest: raw.write(rest) or 0, data)
    buffered, flush = sink, getattr(sink, "flush", None)

    def write(data: bytes) -> None:
        buffered.write(data)
        if flush is not None:
            flush()

    return write


def _write_all(write: Callable[[memoryview], int], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[write(rest) :]
