"""A running workload as the core sees it: its stdin, its output, its limits, and how it ends.

Stdin is accepted in order and once. The tenant may send STDIN_WINDOW bytes ahead of what the workload has read, and learns that
offset from replies. Output is sealed as it arrives, up to `limits.output`. The final status is the first of these that exists:
the cause for which the core ended the workload, the runner's report, the status that the driver observed. A report that names a
cause that only the core can know is ignored.

If the workload had begun to run, its output directories are collected once it is dead, however it ended. If they cannot be
collected, or the owner stops the job meanwhile, that replaces the status.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from enarx.delivery.keep import KeepProtocol
from enarx.delivery.output import FILES, STREAMS
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
from enarx.errors import DeliveryError, EnarxError
from enarx.formats.bounds import results_size
from enarx.formats.config import Config
from enarx.formats.wire import decode
from enarx.keep.core.actions import Action, CloseStdin, Collect, DropStdin, Kill, Send, WriteStdin
from enarx.keep.core.deadlines import COLLECT, COLLECT_RATE, GRACE, Now
from enarx.record import as_dict, replace

ACK_EVERY = 256 << 10
"""Bytes of stdin between two acknowledgements while there is more of it to write."""

COLLECTED, DIGEST = b"\0", 32
"""The collector's report is this byte and a digest of each directory, or a text that says what is wrong."""

OUTPUTS = {"stdout": STDOUT, "stderr": STDERR}
NO_RESULTS = "the output directories could not be collected: the collector gave no result"
RESULT = ("cause", "code", "message", "backtrace", "memory")
"""The fields of a status that the runner may report."""

CORES_OWN = ("output", "stopped", "refused")


class Workload:
    """One run. It appends its actions to `actions`. `deadline` is the clock's reading at which `tick` must be called, or None."""

    def __init__(
        self, protocol: KeepProtocol, config: Config, actions: deque[Action], *, compile_seconds: float, now: Now
    ) -> None:
        self._protocol = protocol
        self._limits = config.limits
        self._actions = actions
        self._compile_seconds = compile_seconds
        stdin, *self._outputs = _descriptors(config)
        self._stdin_open = stdin is not None
        self._stdin_ended = False
        self._taken = self._written = self._acknowledged = 0
        self._loaded = False
        self._verdict: Status | None = None
        self._results = tuple((i, d.guest) for i, d in enumerate(config.dirs) if d.mode == "out")
        self._outcome: Status | None = None
        self._start = now.clock
        self._end: float | None = None
        self.deadline: float | None = now.clock + compile_seconds
        if not self._stdin_open:
            actions.append(CloseStdin())

    def loaded(self, now: Now) -> None:
        """The code is loaded, and the run begins."""
        if self._loaded:
            return
        self._loaded = True
        self._start = now.clock
        if self._verdict is None:
            limit = self._limits.time
            self.deadline = None if limit is None else now.clock + limit + GRACE

    def tick(self, now: Now) -> None:
        """End the run if its deadline has passed."""
        if self.deadline is None or now.clock < self.deadline:
            return
        if self._outcome is not None:
            self.kill("output", "the output directories could not be collected in time")
        elif self._loaded:
            self.kill("time", "the time limit has passed; the guest was in a host call and had to be killed")
        else:
            self.kill("failed", f"the compiler took more than {self._compile_seconds:.0f} s")

    def kill(self, cause: str, message: str) -> None:
        """End the run, unless it is being ended already."""
        if self._verdict is None:
            self._verdict = Status(cause=cause, message=message)
            self.deadline = None
            self._actions.append(Kill(cause))

    def compile_failed(self, message: str) -> None:
        """Note that the compiler produced no code, and why; the runner does not know the reason."""
        if self._verdict is None:
            self._verdict = Status(cause="failed", message=message)

    def attached(self) -> None:
        """Begin a new attachment: the tenant sends again what the workload has not taken, unless stdin has ended."""
        if self._stdin_open and not self._stdin_ended and self._written < self._taken:
            self._taken = self._written
            self._actions.append(DropStdin())
        self.tell_state()

    def input(self, kind: int, offset: int, data: bytes) -> None:
        """Take a record from the tenant; DeliveryError if its kind is unknown, or it is not the next part of stdin."""
        if kind == STOP:
            self.kill("stopped", "stopped by the owner")
        elif kind in (STDIN, STDIN_END) and self._fits(offset, len(data)):
            self._taken += len(data)
            if not self._stdin_open:
                self._written = self._taken
            elif data:
                self._actions.append(WriteStdin(data))
            if kind == STDIN_END:
                self._stdin_ended = True
                if self._stdin_open:
                    self._actions.append(CloseStdin())
            self._acknowledge()
        else:
            raise DeliveryError("stdin-offset", f"stdin at {offset}, wanted {self._taken}", state="session")

    def _fits(self, offset: int, size: int) -> bool:
        in_window = self._taken + size - self._written <= STDIN_WINDOW
        return not self._stdin_ended and offset == self._taken and in_window

    def stdin_written(self, count: int) -> None:
        """The workload's stdin took `count` bytes."""
        self._written += count
        self._acknowledge()

    def stdin_closed(self) -> None:
        """The workload has closed its stdin: pending and future bytes are dropped."""
        self._stdin_open = False
        self._written = self._taken
        self._acknowledge()

    def _acknowledge(self) -> None:
        news = self._written - self._acknowledged
        if news >= ACK_EVERY or (news and self._written == self._taken):
            self.tell_state()

    def tell_state(self) -> None:
        """Report to the tenant how much of stdin was taken, whether it is open, and the number of output records."""
        assert self._protocol.output is not None  # nothing runs before a delivery
        self._acknowledged = self._written
        data = STATE_DATA.pack(self._protocol.output.next, self._stdin_open and not self._stdin_ended)
        self._send(self._protocol.reply(STATE, self._acknowledged, data))

    def output(self, descriptor: int, data: bytes) -> None:
        """Seal what the workload wrote to its descriptor 1 or 2; beyond `limits.output` it is truncated, and the run ends."""
        kind = self._outputs[descriptor - 1]
        if kind is None or (self._verdict is not None and self._verdict.cause == "output"):
            return
        self._send(self._protocol.write(kind, self._within_limit(data)))

    def _within_limit(self, data: bytes) -> bytes:
        assert self._protocol.output is not None
        limit = self._limits.output
        room = None if limit is None else limit - sum(self._protocol.output.totals[kind] for kind in STREAMS)
        if room is None or len(data) <= room:
            return data
        self.kill("output", f"more than {limit} bytes of output")
        return data[:room]

    def ended(self, result: bytes, otherwise: Status, now: Now) -> bool:
        """Seal the final status, or begin to collect output directories; returns whether there are any to collect.

        `result` is the runner's report, `otherwise` the status that the driver observed.
        """
        status = self._verdict or _reported(result) or otherwise
        if not (self._results and self._loaded):
            self.finish(status, now)
            return False
        self._outcome, self._end = status, now.clock
        self._verdict = None
        room = results_size(self._limits.disk)
        self.deadline = now.clock + COLLECT + room / COLLECT_RATE
        self._actions.append(Collect(self._results, room))
        return True

    def files(self, data: bytes) -> None:
        """Seal the next bytes of the stream of output directories."""
        self._send(self._protocol.write(FILES, data))

    def held(self, seconds: float) -> None:
        """Do not count time in which the host takes no output."""
        if self._outcome is not None and self.deadline is not None:
            self.deadline += seconds

    def collected(self, report: bytes, now: Now) -> None:
        """Seal the final status, with the digests of the output directories or with the reason why there are none."""
        assert self._outcome is not None  # the driver answers the action Collect
        digests = [report[at : at + DIGEST] for at in range(1, len(report), DIGEST)]
        if self._verdict is None and report[:1] == COLLECTED and len(report) == 1 + DIGEST * len(self._results):
            guests = (guest for _, guest in self._results)
            self.finish(self._outcome, now, dict(zip(guests, digests, strict=True)))
            return
        reason = report.decode(errors="replace") if report[:1] > COLLECTED else NO_RESULTS
        self.finish(self._verdict or Status(cause="output", message=reason), now)

    def finish(self, status: Status, now: Now, directories: dict[str, bytes] | None = None) -> None:
        """Seal the final status, with the digests of output directories by guest path."""
        assert self._protocol.output is not None
        self.tell_state()
        totals = self._protocol.output.totals
        end = now.clock if self._end is None else self._end
        self.deadline = None
        status = replace(
            status,
            stdout=totals[STDOUT],
            stderr=totals[STDERR],
            milliseconds=round((end - self._start) * 1000),
            time=max(now.unix, self._protocol.not_before),
        )
        self._send(self._protocol.final(status, directories))

    def _send(self, frames: bytes) -> None:
        if frames:
            self._actions.append(Send(frames))


def _reported(result: bytes) -> Status | None:
    """Return the status in the runner's report; None if it is malformed, or names a cause that only the core may give."""
    try:
        value: Any = decode(result, "result")
        picked = {name: value[name] for name in RESULT if name in value}
        status = Status.from_fields(as_dict(Status(**picked)))
    except (EnarxError, TypeError):
        return None
    return None if status.cause in CORES_OWN else status


def _descriptors(config: Config) -> tuple[int | None, int | None, int | None]:
    """Return the stream kinds of the guest's descriptors 0, 1 and 2; None is an empty stdin, or discards output."""
    if config.files is None:
        return STDIN, STDOUT, STDERR
    kinds = [f.kind for f in config.files[:3]] + ["null"] * 3
    return (STDIN if kinds[0] == "stdin" else None), OUTPUTS.get(kinds[1]), OUTPUTS.get(kinds[2])
