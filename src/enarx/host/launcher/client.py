"""The daemon's end of the launcher: one launch at a time, and a new launcher where the old one has died."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from typing import Any

from enarx.host import events
from enarx.host.backends.process.client import keep_descriptors
from enarx.host.processes import send

BOOT = "import sys; sys.path[:0] = sys.argv[1].split(':'); from enarx.host.launcher.process import main; main()"
LINK = 3
MAX_MESSAGE = 64 << 10
PATIENCE = 60.0


class Launcher:
    """The process, started when it is first needed. `paths` is where its code is, `hardware` and `cache` directories."""

    def __init__(self, paths: str, *, hardware: str, cache: str) -> None:
        self._arguments = [sys.executable, "-I", "-S", "-c", BOOT, paths, "--hardware", hardware, "--cache", cache]
        self._link: socket.socket | None = None
        self._pid, self._pidfd = 0, -1
        self._one = asyncio.Lock()

    def start(self) -> None:
        """Start it now, so that the first launch does not have to wait."""
        keep_descriptors()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else it would be reaped before we are done with its number
        link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._spawn(theirs.fileno())
        except OSError:
            link.close()
            raise
        link.setblocking(False)
        self._link = link

    def _spawn(self, theirs: int) -> None:
        target = os.dup(theirs)  # never the descriptor that it is to become
        try:
            actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1)]
            actions += [(os.POSIX_SPAWN_DUP2, target, LINK)]
            self._pid = os.posix_spawn(
                sys.executable,
                self._arguments,
                {"LANG": "C.UTF-8"},
                file_actions=actions,
                setsid=True,
                setsigdef=[signal.SIGCHLD],
            )
        finally:
            os.close(target)
        try:
            self._pidfd = os.pidfd_open(self._pid)
        except OSError:
            os.kill(self._pid, signal.SIGKILL)  # a child not waited for yet: no other process has its number
            os.waitpid(self._pid, 0)
            raise

    async def launch(self, order: dict[str, Any]) -> dict[str, Any]:
        """One launch; an answer that is not ok if it did not come to one, or nobody knows."""
        async with self._one:
            if self._link is not None and _is_at_end(self._link):
                self._died()
            if self._link is None:
                self.start()
            assert self._link is not None  # just started
            answer = b""
            try:
                await asyncio.get_running_loop().sock_sendall(self._link, json.dumps(order).encode())
                answer = await asyncio.wait_for(self._receive(self._link), PATIENCE)
            except (OSError, TimeoutError):
                pass
            finally:
                if not answer:  # also where this task is cancelled: nobody would read the answer that is still to come
                    self._died()
            if answer:
                return dict(json.loads(answer))
            return {"ok": False, "code": "launcher-died", "message": "the launcher ended", "hint": "try again"}

    async def _receive(self, link: socket.socket) -> bytes:
        return await asyncio.get_running_loop().sock_recv(link, MAX_MESSAGE)

    def _died(self) -> None:
        events.log("launcher-died", level="error")
        self.close()

    def close(self) -> None:
        """End it, whatever it is at; what it launched goes on."""
        if self._link is None:
            return
        self._link.close()
        self._link = None
        send(self._pidfd)
        os.waitpid(self._pid, 0)
        os.close(self._pidfd)


def _is_at_end(link: socket.socket) -> bool:
    """It never speaks unasked: if there is something to read, it is its end."""
    try:
        return not link.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
