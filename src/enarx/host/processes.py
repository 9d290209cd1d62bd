"""Processes identified by number and start time, and held by pidfds: a bare number may already be another process's."""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

START_TIME = 19
"""Index of the start time in /proc/PID/stat, counted after the command's name."""

SIGKILL = 9
"""Importing `signal` would take longer than what needs it here."""


class Handle:
    """The process with which a whole Keep ends, held by its pidfd: watched, killed and proven gone."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid, self._pidfd = pid, pidfd

    def fileno(self) -> int:
        """For poll: readable means that the process has ended."""
        return self._pidfd

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended already."""
        send(self._pidfd)

    def is_over(self) -> bool:
        """Has the process ended by now?"""
        return is_over(self._pidfd)

    def close(self) -> None:
        """Release the pidfd; the process goes on."""
        os.close(self._pidfd)


def boot() -> str:
    """The id of this boot of the machine, within which start times are comparable."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 if it does not exist."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(text[text.rindex(b")") + 2 :].split()[START_TIME])


def identities(*, supervisor: int, keep: int) -> dict[str, Any]:
    """What identifies the two processes of a Keep after a restart of the daemon, as JSON."""
    return {
        "boot": boot(),
        "supervisor": [supervisor, start_time(supervisor)],
        "keep": [keep, start_time(keep)],
    }


def open_process(pid: int, start: int) -> int:
    """A pidfd of the process with that number and start time; -1 if it is proven to be gone.

    OSError if that cannot be decided, for want of descriptors for example.
    """
    if pid <= 0:
        return -1
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return -1
    try:
        same = start_time(pid) == start and not is_over(pidfd)
    except BaseException:
        os.close(pidfd)
        raise
    if not same:
        os.close(pidfd)
        return -1
    return pidfd


def is_over(pidfd: int) -> bool:
    """Has the process ended by now?"""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def send(pidfd: int, number: int = SIGKILL) -> None:
    """Send a signal, unless the process has ended already."""
    import signal

    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return


class Undisturbed:
    """A context in which SIGTERM waits: it arrives on entry, before anything is done, or after the end."""

    def __enter__(self) -> None:
        import signal

        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def __exit__(self, *_: object) -> None:
        import signal

        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def close_others(wanted: Iterable[int]) -> None:
    """Close every descriptor but the standard ones and those in `wanted`."""
    low = 3
    for fd in sorted(fd for fd in wanted if fd > 2):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
