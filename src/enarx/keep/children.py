"""The keeper's children, runner and compiler: watched and killed by pidfd, reaped by the keeper alone."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable

PREFER = b"1000"
"""The kernel's score for what to kill first where memory is out: these two, and never the keeper before them."""


class Child:
    """One of them. `status` is how it ended, as os.wait4 gives it; None while it runs. `peak` is its memory in bytes."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)  # not reaped yet, so the number is still its own
        self.status: int | None = None
        self.peak = 0

    def fileno(self) -> int:
        """For poll: readable once all threads of it have ended."""
        return self._pidfd

    def kill(self) -> None:
        """Kill it, whatever it is at."""
        if self.status is None:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def reap(self, *, wait: bool = False, seconds: float = 0) -> bool:
        """Has it ended, at once or within `seconds`?"""
        if self.status is None:
            if seconds:
                select.select([self._pidfd], [], [], seconds)
            pid, status, usage = os.wait4(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self.status, self.peak = status, usage.ru_maxrss << 10
                os.close(self._pidfd)
        return self.status is not None


def fork(work: Callable[[], None]) -> Child:
    """A child that does `work`. It ends with status 1 if that raises: no word of the error may leave the Keep."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return Child(pid)


class Score:
    """Raises this process's score for as long as it forks what is to be killed before it. `proc` is /proc, opened.

    A margin and no bound: where the kernel refuses it, the Keep goes without.
    """

    def __init__(self, proc: int) -> None:
        try:
            self._fd = os.open("self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC, dir_fd=proc)
        except OSError:
            self._fd = -1
        self._before = os.pread(self._fd, 16, 0) if self._fd >= 0 else b""

    def __enter__(self) -> None:
        self._write(PREFER)

    def __exit__(self, *_: object) -> None:
        self._write(self._before)
        if self._fd >= 0:
            os.close(self._fd)

    def _write(self, value: bytes) -> None:
        if self._fd >= 0:
            os.write(self._fd, value)
