"""Start a Python process that inherits nothing but stderr and the descriptors it is given.

Every process of a host and of a Keep starts this way: no environment, no shell, standard input and output at /dev/null.
Linux only. It loads nothing but `os` and `sys`, because a cold `enarx run` waits for it four times.
"""

from __future__ import annotations

import os
import sys

FIRST = 3
"""The descriptor that the first of the given ones becomes in the child; the others follow."""

ENVIRONMENT = {"LANG": "C.UTF-8"}


def start_python(
    code: str,
    arguments: list[str],
    descriptors: tuple[int, ...],
    *,
    new_session: bool = False,
    default_signals: tuple[int, ...] = (),
) -> int:
    """Run `code` in a new interpreter and return its pid, which the caller waits for.

    `arguments` become sys.argv[1:], and `descriptors` become 3, 4, ... in the child; the caller still has to close its
    own. The interpreter is isolated and loads no site module (-I -S): the code sets sys.path itself. `default_signals`
    are reset to their default action. OSError.
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
        )
    finally:
        for copy in copies:
            os.close(copy)


def close_on_exec() -> None:
    """Mark every descriptor of this process but the standard ones close-on-exec.

    Python's own already are; those that its parent left open are not.
    """
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2:
                os.set_inheritable(int(name), False)
        except OSError:
            continue  # the descriptor that the directory was read with


def _copy(fd: int, lowest: int) -> int:
    """A copy of `fd` numbered `lowest` or higher: a lower one could be a target, which dup2 would overwrite.

    F_DUPFD does the same, but loading fcntl takes longer than all of this.
    """
    low: list[int] = []
    try:
        while (copy := os.dup(fd)) < lowest:
            low.append(copy)
        return copy
    finally:
        for each in low:
            os.close(each)
