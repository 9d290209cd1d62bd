"""The keeper's child processes: attester, compiler and runner. Each is watched and killed by pidfd, and reaped here."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable

PREFER = b"1000"
"""The highest OOM score: when memory runs out, the kernel kills compiler and runner before it kills the keeper."""


class Child:
    """A child process. `status` is None while it runs, then its wait status; `peak` is its peak memory in bytes."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)  # not reaped yet, so the number still names this process
        self.status: int | None = None
        self.peak = 0

    def fileno(self) -> int:
        """The pidfd, for poll: readable once every thread of the process has ended."""
        return self._pidfd

    def kill(self) -> None:
        """Send SIGKILL, unless the process was reaped already."""
        if self.status is None:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def reap(self, *, wait: bool = False, seconds: float = 0) -> bool:
        """Return whether the process has ended: now, within `seconds`, or with `wait` however long that takes."""
        if self.status is None:
            if seconds:
                select.select([self._pidfd], [], [], seconds)
            pid, status, usage = os.wait4(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self.status, self.peak = status, usage.ru_maxrss << 10
                os.close(self._pidfd)
        return self.status is not None


def fork(work: Callable[[], None]) -> Child:
    """Fork a child that runs `work` and exits with 0, or with 1 if `work` raises.

    The error is dropped on purpose: its text might hold what must not leave the Keep.
    """
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
    """A context manager that raises this process's OOM score, which children forked meanwhile inherit.

    `proc` is a descriptor of /proc. If the kernel refuses, the Keep runs without: the cgroup's limit holds either way.
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
