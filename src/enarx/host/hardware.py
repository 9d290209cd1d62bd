"""Starting the process that plays the hardware, and having it launch Keeps (docs/spec/host.md, "Hardware")."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

MAX_MESSAGE = 64 << 10
LINK = 3
BOOT = "import sys; sys.path[:0] = sys.argv[1].split(':'); from enarx.hardware.main import main; main()"


class Hardware:
    """The link to one such process. It ends by itself once this end is closed and its Keeps are gone."""

    def __init__(self, paths: str, *, state: str, cache: str, command: tuple[str, ...] = ()) -> None:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = [*(command or (sys.executable, "-I", "-S", "-c", BOOT)), paths, "--state", state, "--cache", cache]
        target = os.dup(theirs.fileno())  # never the descriptor that it is to become
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1)]
        actions += [(os.POSIX_SPAWN_DUP2, target, LINK)]
        self.pid = os.posix_spawn(arguments[0], arguments, {"LANG": "C.UTF-8"}, file_actions=actions, setsid=True)
        os.close(target)
        theirs.close()

    def launch(
        self, control: socket.socket, *, host_data: str, memory: int, disk: int, skip_layers: list[str]
    ) -> tuple[dict[str, Any], int]:
        """Launch a Keep that gets `control`; its answer, and the pidfd of the Keep, -1 if there is none."""
        limits = {"memory": memory, "disk": disk}
        order = {"op": "launch", "host_data": host_data, "limits": limits, "skip_layers": skip_layers}
        try:
            socket.send_fds(self._link, [json.dumps(order).encode()], [control.fileno()])
            message, fds, _, _ = socket.recv_fds(self._link, MAX_MESSAGE, 1)
        except OSError:
            message, fds = b"", []
        if not message:
            return {"ok": False, "code": "hardware-died", "message": "the simulated hardware ended", "hint": "try again"}, -1
        return json.loads(message), fds[0] if fds else -1

    def fileno(self) -> int:
        """For poll: readable means that it has ended."""
        return self._link.fileno()

    def close(self) -> None:
        """Let it go."""
        self._link.close()
