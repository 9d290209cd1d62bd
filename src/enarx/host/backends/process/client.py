"""Starting the process that plays the hardware, and having it launch Keeps (docs/spec/host.md, "Hardware").

Loads next to nothing: a local run starts the hardware before all else.
"""

from __future__ import annotations

import _socket
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

MAX_MESSAGE = 64 << 10
PATIENCE = 50.0
"""Seconds for a launch: two tries of the hardware, and less than the daemon waits for its launcher."""

SIGCHLD = 17
"""Its number on x86_64 and aarch64: the module that names it takes longer to load than this one to run."""

LINK = 3
BOOT = (
    "import gc; gc.disable(); import sys; sys.path[:0] = sys.argv[1].split(':'); "
    "from enarx.simulator.main import main; main()"
)
DIED = {"ok": False, "code": "hardware-died", "message": "the simulated hardware ended", "hint": "try again"}
GIVEN_UP = {"ok": False, "code": "given-up", "message": "whoever wanted the Keep is gone", "hint": ""}


class Hardware:
    """The link to one such process. It ends by itself once this end is closed and its Keeps are gone."""

    def __init__(self, paths: str, *, state: str, cache: str) -> None:
        keep_descriptors()
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
        self._fd = ours.detach()
        arguments = [sys.executable, "-I", "-S", "-c", BOOT, paths, "--state", state, "--cache", cache]
        target = os.dup(theirs.fileno())  # never the descriptor that it is to become
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1)]
        actions += [(os.POSIX_SPAWN_DUP2, target, LINK)]
        defaults = (SIGCHLD,)  # the launcher ignores its children; the hardware has to wait for its zygote itself
        self.pid = os.posix_spawn(
            arguments[0], arguments, {"LANG": "C.UTF-8"}, file_actions=actions, setsid=True, setsigdef=defaults
        )
        os.close(target)
        theirs.close()

    def launch(
        self, control: socket.socket, order: dict[str, Any], *, groups: list[int], until: int = -1
    ) -> tuple[dict[str, Any], int]:
        """Launch a Keep that gets `control`; its answer, and the pidfd of the Keep, -1 if there is none.

        Of `order` this takes host_data, memory, compile, disk and skip_layers; `groups` are what Group.open gives. Gives up
        where descriptor `until` is at its end before there is an answer.
        """
        import json
        import socket

        limits = {name: order[name] for name in ("memory", "compile", "disk")}
        value = {
            "op": "launch",
            "host_data": order["host_data"],
            "limits": limits,
            "skip_layers": order["skip_layers"],
        }
        link = socket.socket(fileno=os.dup(self._fd))
        try:
            link.settimeout(PATIENCE)
            socket.send_fds(link, [json.dumps(value).encode()], [control.fileno(), *groups])
            if until >= 0 and self._is_ended_first(until):
                return GIVEN_UP, -1
            message, fds, _, _ = socket.recv_fds(link, MAX_MESSAGE, 1)
        except OSError:
            message, fds = b"", []
        finally:
            link.close()
        answer = _answer(message)
        if answer is None or bool(fds) != answer["ok"]:
            for fd in fds:
                os.close(fd)
            return DIED, -1
        return answer, fds[0] if fds else -1

    def _is_ended_first(self, until: int) -> bool:
        poll = select.poll()
        for fd in (self._fd, until):
            poll.register(fd, select.POLLIN)
        return until in dict(poll.poll(PATIENCE * 1000)) and not self._is_readable()

    def _is_readable(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(0))

    def fileno(self) -> int:
        """For poll: readable means that it has ended."""
        return self._fd

    def close(self) -> None:
        """Let it go."""
        os.close(self._fd)


def _answer(message: bytes) -> dict[str, Any] | None:
    """The answer in a packet; None if it is none, as where the hardware has ended."""
    import json

    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return None
    wanted = {True: ("pid", "layers"), False: ("code", "message", "hint")}
    known = (
        isinstance(value, dict) and isinstance(value.get("ok"), bool) and all(k in value for k in wanted[value["ok"]])
    )
    return value if known else None


def keep_descriptors() -> None:
    """Let no process that is started from here inherit a descriptor that this one has, standard ones apart."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2:
                os.set_inheritable(int(name), False)
        except OSError:
            continue  # the one that the list was read from
