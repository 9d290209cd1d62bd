"""The daemon's end of the launcher: one launch at a time, and a new launcher where the old one has died."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from typing import Any

from enarx.host import events
from enarx.host.processes import send
from enarx.spawn import start_python

BOOT = "import sys; sys.path[:0] = sys.argv[1].split(':'); from enarx.host.launcher.process import main; main()"
MAX_MESSAGE = 64 << 10
PATIENCE = 60.0
"""Seconds for an answer to a launch."""


class Launcher:
    """The process, started when it is first needed. `paths` are the code's; `state` and `cache` the backends' directories."""

    def __init__(self, paths: str, *, state: str, cache: str) -> None:
        self._arguments = [paths, "--backends", state, "--cache", cache]
        self._link: socket.socket | None = None
        self._pid, self._pidfd = 0, -1
        self._turn = asyncio.Lock()

    def start(self) -> None:
        """Start it now, so that the first launch does not have to wait. OSError."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if ignored, it would be reaped and its number reused
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
        self._pid = start_python(BOOT, self._arguments, (theirs,), new_session=True, default_signals=(signal.SIGCHLD,))
        try:
            self._pidfd = os.pidfd_open(self._pid)
        except OSError:
            os.kill(self._pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
            os.waitpid(self._pid, 0)
            raise

    async def launch(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have a Keep launched. The answer is not `ok` if that failed, or if nobody knows whether it did."""
        async with self._turn:
            if self._link is not None and _is_at_end(self._link):
                self._log_death()
            if self._link is None:
                self.start()
            assert self._link is not None  # just started
            answer = b""
            try:
                await asyncio.get_running_loop().sock_sendall(self._link, json.dumps(order).encode())
                async with asyncio.timeout(
                    PATIENCE
                ):  # wait_for of Python 3.11 loses a cancellation that meets the answer
                    answer = await self._receive(self._link)
            except (OSError, TimeoutError):
                pass
            finally:
                if not answer:  # also if this task is cancelled: nobody would read the answer that is still to come
                    self._log_death()
            if answer:
                return dict(json.loads(answer))
            return {"ok": False, "code": "launcher-died", "message": "the launcher ended", "hint": "try again"}

    async def _receive(self, link: socket.socket) -> bytes:
        return await asyncio.get_running_loop().sock_recv(link, MAX_MESSAGE)

    def _log_death(self) -> None:
        events.log("launcher-died", level="error")
        self.close()

    def close(self) -> None:
        """Kill it, whatever it is doing; the Keeps that it launched go on."""
        if self._link is None:
            return
        self._link.close()
        self._link = None
        send(self._pidfd)
        os.waitpid(self._pid, 0)
        os.close(self._pidfd)


def _is_at_end(link: socket.socket) -> bool:
    """The launcher only ever answers requests, so between launches readable means ended."""
    try:
        return not link.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
