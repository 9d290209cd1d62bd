"""Processes known by number and start time, and held by descriptors: a number alone may be another process's by now."""

from __future__ import annotations

import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

START_TIME = 19
"""Where the start time stands in /proc/PID/stat, counted from behind the command's name."""


def boot() -> str:
    """The name of this start of the machine: start times count from it."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def start_time(pid: int) -> int:
    """When the process started, in ticks since the machine did; 0 where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(text[text.rindex(b")") + 2 :].split()[START_TIME])


def identities(*, supervisor: int, keep: int) -> dict[str, Any]:
    """What finds both processes of a Keep again, and no others."""
    return {
        "boot": boot(),
        "supervisor": [supervisor, start_time(supervisor)],
        "keep": [keep, start_time(keep)],
    }


def open_process(pid: int, start: int) -> int:
    """A pidfd of the process of that number and start time; -1 where it is proven to be gone.

    OSError where that cannot be told, for lack of descriptors say.
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
    """Has the process ended?"""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def send(pidfd: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; a process that has ended needs none."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return
