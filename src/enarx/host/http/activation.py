"""Listening sockets that a service manager opened for the daemon: systemd's socket activation, sd_listen_fds(3).

The manager binds before the daemon starts, so clients never meet a closed socket, and a socket below /run needs no root
daemon. The daemon treats them as its own: the same users may connect, and TCP needs a credential.
"""

from __future__ import annotations

import os
import socket

from enarx.errors import UsageError

FIRST = 3
"""The number of the first descriptor that is passed."""

MOST = 64
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
HINT = "in the socket unit: ListenStream=, and Accept=no"


def passed() -> tuple[socket.socket, ...]:
    """The listening sockets that were passed to this process; none if it was started by hand.

    The variables are removed, so that no child takes them for its own. UsageError for anything but a listening stream socket.
    """
    pid, count, _ = (os.environ.pop(name, "") for name in VARIABLES)
    if pid != str(os.getpid()):
        return ()  # not set, or meant for a process that started this one
    if not count.isascii() or not count.isdigit() or not 1 <= int(count[:4]) <= MOST:
        raise UsageError("listen-fds", f"LISTEN_FDS is {count[:20]!r}, wanted a number from 1 to {MOST}", hint=HINT)
    return tuple(map(_listener, range(FIRST, FIRST + int(count))))


def _listener(fd: int) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        listener = socket.socket(fileno=fd)
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as e:
        raise UsageError("listen-fds", f"descriptor {fd}, which was passed: {e.strerror}", hint=HINT) from e
    families = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
    if listener.type != socket.SOCK_STREAM or not listening or listener.family not in families:
        raise UsageError("listen-fds", f"descriptor {fd}, which was passed: not a listening stream socket", hint=HINT)
    return listener
