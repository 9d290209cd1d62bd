"""The daemon's end of the launcher: one launch at a time, and a new launcher where the old one has died."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from typing import Any

from enarx.host import events

BOOT = "import sys; sys.path[:0] = sys.argv[1].split(':'); from enarx.host.launcher import main; main()"
LINK = 3
MAX_MESSAGE = 64 << 10
PATIENCE = 60.0


class Launcher:
    """Starts the process when it is first needed."""

    def __init__(self, paths: str, *, hardware: str, cache: str) -> None:
        self._arguments = [sys.executable, "-I", "-S", "-c", BOOT, paths, "--hardware", hardware, "--cache", cache]
        self._link: socket.socket | None = None
        self._pid = 0
        self._one = asyncio.Lock()

    def start(self) -> None:
        """Start it now, so that the first launch does not have to wait."""
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.setblocking(False)
        target = os.dup(theirs.fileno())  # never the descriptor that it is to become
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1)]
        actions += [(os.POSIX_SPAWN_DUP2, target, LINK)]
        self._pid = os.posix_spawn(
            sys.executable, self._arguments, {"LANG": "C.UTF-8"}, file_actions=actions, setsid=True
        )
        os.close(target)
        theirs.close()

    async def launch(self, order: dict[str, Any]) -> dict[str, Any]:
        """One launch; an answer that is not ok if it did not come to one."""
        async with self._one:
            if self._link is None:
                self.start()
            assert self._link is not None  # just started
            loop = asyncio.get_running_loop()
            try:
                await loop.sock_sendall(self._link, json.dumps(order).encode())
                answer = await asyncio.wait_for(loop.sock_recv(self._link, MAX_MESSAGE), PATIENCE)
            except (OSError, TimeoutError):
                answer = b""
            if answer:
                return dict(json.loads(answer))
            self.close()
            events.log("launcher-died", level="error")
            return {"ok": False, "code": "launcher-died", "message": "the launcher ended", "hint": "try again"}

    def close(self) -> None:
        """Let it end; what it launched goes on."""
        if self._link is not None:
            self._link.close()
            self._link = None
            os.waitpid(self._pid, 0)
