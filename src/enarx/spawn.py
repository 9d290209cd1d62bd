"""Start a Python process that inherits only stderr and the given descriptors.

Hosts and simulators start their processes this way: without a shell, without the caller's environment, with stdin and
stdout at /dev/null. Linux only. The module imports only `os` and `sys`, because each process of a cold `enarx run` waits
for it.
"""

from __future__ import annotations

import os
import sys

FIRST = 3
"""The number of the first given descriptor in the child; the others follow."""

ENVIRONMENT = {"LANG": "C.UTF-8"}


def start_python(
    code: str,
    arguments: list[str],
    descriptors: tuple[int, ...],
    *,
    new_session: bool = False,
    default_signals: tuple[int, ...] = (),
    blocked_signals: tuple[int, ...] = (),
) -> int:
    """Run `code` in a new interpreter and return its pid, which the caller waits for.

    `arguments` become sys.argv[1:], and `descriptors` become 3, 4, ... in the child; the caller's stay open. The
    interpreter is isolated and loads no site module (-I -S), so the code must set sys.path. `default_signals` are reset
    to their default action, `blocked_signals` are blocked from the first instruction on. OSError.
    """
    close_on_exec()
    copies: list[int] = []
    try:
        for fd in descriptors:
            copies.append(_copy(fd, FIRST + len(descriptors)))
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1)]
        actions += [(os.POSIX_SPAWN_DUP2, copy, target) for target, copy in enumerate(copies, FIRST)]
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", code, *arguments],
            ENVIRONMENT,
            file_actions=actions,
            setsid=new_session,
            setsigdef=default_signals,
            setsigmask=blocked_signals,
        )
    finally:
        for copy in copies:
            os.close(copy)


def close_on_exec() -> None:
    """Mark all descriptors of this process except the standard ones close-on-exec.

    Those that Python opened already are; those that the parent process left open are not.
    """
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2:
                os.set_inheritable(int(name), False)
        except OSError:
            continue  # the descriptor of the directory listing itself


def _copy(fd: int, lowest: int) -> int:
    """A copy of `fd` numbered `lowest` or higher, since dup2 in the child would overwrite a lower one.

    F_DUPFD does the same, but importing fcntl takes longer than the whole call.
    """
    low: list[int] = []
    try:
        while (copy := os.dup(fd)) < lowest:
            low.append(copy)
        return copy
    finally:
        for each in low:
            os.close(each)
