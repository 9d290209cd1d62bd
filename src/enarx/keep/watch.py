"""The keeper while a guest runs: one loop over poll that moves stdio, seals it, and holds the limits.

Nothing in it blocks, so neither a host that stops reading nor a guest that sleeps in a host call can keep a limit from
being held or the end from being sealed. It goes by processes and deadlines, never by descriptors: what the runner closes,
or leaves open with others, changes nothing. Compiling has a deadline of its own; the run's begins where its code is there.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections import deque
from typing import Any

from enarx.delivery.keep import KeepProtocol
from enarx.delivery.session import (
    STATE,
    STATE_DATA,
    STDERR,
    STDIN,
    STDIN_END,
    STDIN_WINDOW,
    STDOUT,
    STOP,
    Status,
)
from enarx.errors import DeliveryError, EnarxError, ParseError, UnavailableError
from enarx.formats.config import Config
from enarx.formats.wire import FrameType, decode
from enarx.keep.attester.simulated import SimulatedAttester
from enarx.keep.frames import ANSWERS, HIGH_WATER, TURN, Frames
from enarx.keep.guest import runner
from enarx.record import as_dict, replace

GRACE = 0.25
"""Seconds that a guest out of time gets to trap by itself, before its process is killed."""

PIECE = 256 << 10
ACK_EVERY = 256 << 10
MAX_RESULT = 64 << 10
REST = 16
"""Pieces read of each pipe once the runner is gone: more than any pipe holds."""

STREAMS = {"stdout": STDOUT, "stderr": STDERR}
KEEPERS_OWN = ("output", "stopped", "refused")
"""Causes that only the keeper can know; a runner that gives one of them is not believed."""


class Watch:
    """One run of one guest."""

    def __init__(
        self,
        protocol: KeepProtocol,
        frames: Frames,
        handle: runner.Handle,
        config: Config,
        order: dict[str, Any],
        attester: SimulatedAttester,
    ) -> None:
        self._attester = attester
        self._asked = False
        self._protocol = protocol
        self._frames = frames
        self._handle = handle
        self._config = config
        self._order = order
        self._kinds = _streams(config)
        self._stdin: deque[memoryview] = deque()
        self._stdin_open = handle.stdin
        self._taken = self._written = self._acked = 0
        self._stdin_ends = False
        self._result = b""
        self._killed: Status | None = None
        self._open = {handle.stdout: self._kinds[1], handle.stderr: self._kinds[2]}
        self._orders_open = True
        self._loaded = False

    def run(self) -> None:
        """Start the guest, serve it to its end, seal how it ended."""
        for fd in (self._handle.stdin, self._handle.stdout, self._handle.stderr):
            os.set_blocking(fd, False)
        try:
            runner.send(self._handle.orders, self._order)
        except OSError:
            self._handle.child.kill()  # it has ended before it was told anything, or will not listen
        self._start = time.monotonic()
        self._deadline: float | None = self._start + self._handle.compilation.wall
        if self._kinds[0] is None:
            self._close_stdin()
        while not self._handle.child.reap():
            self._turn()
        self._finish()

    def _turn(self) -> None:
        poll = select.poll()
        wanted = (select.POLLIN if self._frames.queued < ANSWERS else 0) | (
            select.POLLOUT if self._frames.queued else 0
        )
        poll.register(self._frames.fileno(), wanted)
        if self._asked:
            poll.register(self._attester.fileno(), select.POLLIN)
        if self._frames.queued < HIGH_WATER:
            for fd in self._open:
                poll.register(fd, select.POLLIN)
        if self._orders_open:
            poll.register(self._handle.orders.fileno(), select.POLLIN)
        if self._stdin_open >= 0 and self._stdin:
            poll.register(self._stdin_open, select.POLLOUT)
        for child in (self._handle.child, self._handle.compilation.child):
            if child.status is None:
                poll.register(child.fileno(), select.POLLIN)
        ready = dict(poll.poll(self._wait()))
        self._supervise()
        if ready.get(self._frames.fileno(), 0) & select.POLLOUT:
            self._frames.flush()
        if ready.get(self._frames.fileno(), 0) & ~select.POLLOUT:
            self._host()
        if self._asked and self._attester.fileno() in ready:
            self._evidence()
        for fd in [fd for fd in self._open if fd in ready]:
            self._output(fd)
        if self._orders_open and self._handle.orders.fileno() in ready:
            self._orders()
        if self._stdin_open in ready:
            self._feed()

    def _supervise(self) -> None:
        """A deadline ends the run. Where the compiler ends without a verdict, the runner does so by itself."""
        self._handle.compilation.child.reap()
        if self._deadline is not None and time.monotonic() >= self._deadline:
            if not self._loaded:
                self._kill("failed", f"the compiler took more than {self._handle.compilation.wall:.0f} s")
            else:
                self._kill("time", "the time limit is over; the guest was in a call that only killing it ends")

    def _begin(self) -> None:
        """The runner, still ours, has the code: what is left of the compiler has no more to say."""
        self._loaded = True
        self._handle.compilation.child.kill()
        limit = self._order["milliseconds"]
        self._start = time.monotonic()
        self._deadline = self._start + limit / 1000 + GRACE if limit is not None else None

    def _wait(self) -> float | None:
        if self._deadline is None or self._killed is not None:
            return None
        left: float = self._deadline - time.monotonic()
        return max(0.0, left) * 1000 + 1

    def _host(self) -> None:
        """Frames from the host. What is not the tenant's ends the attachment, never the job."""
        for _ in range(TURN):
            frame = self._frames.read() if self._frames.queued < ANSWERS else None
            if frame is None:
                return
            kind, payload = frame
            try:
                if isinstance(kind, ParseError):
                    raise kind
                self._frame(kind, bytes(payload))
            except (DeliveryError, ParseError):
                self._frames.write(self._protocol.broken())

    def _frame(self, kind: FrameType, payload: bytes) -> None:
        if kind is FrameType.ATTACH:
            self._frames.write(self._protocol.attach(payload, os.urandom(32)))
            self._say_state()
        elif kind is FrameType.INPUT:
            record = self._protocol.input(payload)
            if record is not None:
                self._record(*record)
        elif kind is FrameType.ATTEST:
            self._attest(payload)
        else:
            raise DeliveryError("unexpected-message", f"{kind.name.lower()} during a session", state="session")

    def _attest(self, payload: bytes) -> None:
        """Have fresh evidence made; one at a time, and who asks meanwhile asks in vain."""
        if self._asked:
            return
        report_data = self._protocol.attest(payload)
        try:
            self._attester.ask(report_data)
        except UnavailableError:
            return  # the hardware is gone; the job does not need it
        self._asked = True

    def _evidence(self) -> None:
        """The evidence is there, or never will be."""
        self._asked = False
        try:
            answer = self._protocol.evidence(self._attester.kind, *self._attester.answer())
        except EnarxError:
            return  # who asked sees that no answer comes
        self._frames.write(answer)

    def _record(self, kind: int, offset: int, data: bytes) -> None:
        if kind == STOP:
            self._kill("stopped", "stopped by the owner")
        elif kind in (STDIN, STDIN_END) and self._fits(offset, len(data)):
            self._taken += len(data)
            if data and self._stdin_open >= 0:
                self._stdin.append(memoryview(data))
            elif data:
                self._written = self._taken
            self._stdin_ends = self._stdin_ends or kind == STDIN_END
            self._feed()
        else:
            raise DeliveryError("stdin-offset", f"stdin at {offset}, wanted {self._taken}", state="session")

    def _fits(self, offset: int, size: int) -> bool:
        return not self._stdin_ends and offset == self._taken and self._taken + size - self._written <= STDIN_WINDOW

    def _feed(self) -> None:
        """Give the guest what its pipe takes, and tell the tenant."""
        while self._stdin and self._stdin_open >= 0:
            try:
                count = os.write(self._stdin_open, self._stdin[0])
            except BlockingIOError:
                break
            except BrokenPipeError:
                self._close_stdin()
                break
            self._written += count
            self._stdin[0] = self._stdin[0][count:]
            if not self._stdin[0]:
                self._stdin.popleft()
        if not self._stdin and self._stdin_ends:
            self._close_stdin()
        if self._written - self._acked >= ACK_EVERY or (self._written > self._acked and not self._stdin):
            self._say_state()

    def _close_stdin(self) -> None:
        if self._stdin_open >= 0:
            os.close(self._stdin_open)
        self._stdin_open = -1
        self._stdin.clear()
        self._written = self._taken

    def _say_state(self) -> None:
        """Tell the tenant how much of stdin has been taken, if it is open, and how many output records there are."""
        self._acked = self._written
        assert self._protocol.output is not None
        data = STATE_DATA.pack(self._protocol.output.next, not self._stdin_ends and self._stdin_open >= 0)
        self._frames.write(self._protocol.reply(STATE, self._acked, data))

    def _output(self, fd: int) -> None:
        try:
            data = os.read(fd, PIECE)
        except BlockingIOError:
            return
        if not data:
            del self._open[fd]
            os.close(fd)
            return
        kind = self._kinds[1] if fd == self._handle.stdout else self._kinds[2]
        if kind is None or (self._killed is not None and self._killed.cause == "output"):
            return
        self._frames.write(self._protocol.write(kind, self._within_limit(data)))

    def _within_limit(self, data: bytes) -> bytes:
        limit = self._config.limits.output
        assert self._protocol.output is not None
        room = None if limit is None else limit - sum(self._protocol.output.totals.values())
        if room is None or len(data) <= room:
            return data
        self._kill("output", f"more than {limit} bytes of output")
        return data[:room]

    def _orders(self) -> bool:
        """What the runner says, of which no more than MAX_RESULT is read. Was there anything?"""
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

    def _kill(self, cause: str, message: str) -> None:
        if self._killed is None:
            self._killed = Status(cause=cause, message=message)
            self._handle.child.kill()

    def _finish(self) -> None:
        """The runner is gone: take what is left in its pipes, whoever else holds them, and tell the end."""
        for fd in list(self._open) * REST:
            if fd in self._open:
                self._output(fd)
        while self._orders_open and self._orders():
            continue
        self._say_state()
        self._frames.write(self._protocol.final(self._status(self._handle.child.status or 0)))
        self._frames.drain()

    def _status(self, ended: int) -> Status:
        """The keeper's own knowledge first; then the runner's word, checked for form."""
        status = self._killed or self._runner_status(ended)
        compilation = self._handle.compilation
        if status.message == runner.NO_CODE and not self._loaded and compilation.child.reap(seconds=GRACE):
            status = Status(cause="failed", message=compilation.failure() or runner.NO_CODE)
        compilation.child.kill()
        assert self._protocol.output is not None
        totals = self._protocol.output.totals
        now = max(int(time.time()), self._protocol.not_before)
        elapsed = round((time.monotonic() - self._start) * 1000)
        return replace(status, stdout=totals[STDOUT], stderr=totals[STDERR], milliseconds=elapsed, time=now)

    def _runner_status(self, ended: int) -> Status:
        try:
            value: Any = decode(self._result, "result")
            picked = {k: value[k] for k in ("cause", "code", "message", "backtrace", "memory") if k in value}
            status = Status.from_fields(as_dict(Status(**picked)))
        except (EnarxError, TypeError):
            return _died(ended, self._order["bound"])
        return status if status.cause not in KEEPERS_OWN else _died(ended, self._order["bound"])


def _died(ended: int, bound: int) -> Status:
    """The runner ended without a word: only the kernel can have done that."""
    if os.WIFSIGNALED(ended) and os.WTERMSIG(ended) != signal.SIGKILL:
        number = os.WTERMSIG(ended)
        return Status(cause="failed", message=f"the guest's process was ended by {signal.Signals(number).name}")
    if os.WIFEXITED(ended):
        return Status(cause="failed", message="the runner gave no result: a fault of the Keep")
    said = f"its process was killed, most likely at the Keep's bound of {bound >> 20} MiB: raise limits.memory"
    return Status(cause="memory", message=said)


def _streams(config: Config) -> tuple[int | None, int | None, int | None]:
    """What the guest's descriptors 0, 1, 2 are; None discards, or reads as empty."""
    if config.files is None:
        return STDIN, STDOUT, STDERR
    kinds = [f.kind for f in config.files[:3]] + ["null"] * 3
    return (STDIN if kinds[0] == "stdin" else None), STREAMS.get(kinds[1]), STREAMS.get(kinds[2])
