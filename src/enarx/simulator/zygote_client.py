"""The simulator's client for its zygote: sends it orders, and replaces it when it has ended."""

from __future__ import annotations

import os
import select
import signal
import socket
from typing import Any

from enarx.errors import ParseError, UnavailableError
from enarx.formats.wire import decode, encode
from enarx.simulator.main import start_zygote
from enarx.simulator.orders import Answer, close, receive

PATIENCE = 20.0
"""Seconds that a launch may take. The simulator tries twice, and the host waits for just under a minute."""

DIED = "zygote-died"


class Zygote:
    """One zygote and its successors. `started` is what start_zygote returned, `code` the directories of its code."""

    def __init__(self, started: tuple[int, int], code: tuple[str, ...]) -> None:
        self._code = code
        self._link: socket.socket | None = None
        self._take(started)

    def renew(self) -> bool:
        """Start a new zygote if the last one has ended, and return whether it had."""
        if self._link is not None:
            poll = select.poll()
            poll.register(self._link, select.POLLIN)
            if not poll.poll(0):  # a zygote only ever answers, so readable means closed
                return False
            self._end(self._link)
        self._take(start_zygote(self._code))
        return True

    def launch(self, order: Answer, fds: list[int]) -> tuple[Answer, list[int]]:
        """Send an order; return the answer and the descriptors beside it. Call `renew` before each launch.

        UnavailableError if no valid answer comes in time. The zygote is then killed.
        """
        assert self._link is not None  # renewed
        try:
            socket.send_fds(self._link, [encode(order)], fds)
            packet, given = receive(self._link)
        except OSError:  # gone, or out of patience
            packet, given = b"", []
        answer = _answer(packet)
        if answer is not None and len(given) == answer["ok"]:
            return answer, given
        close(given)
        self._end(self._link)
        raise UnavailableError(DIED, "the zygote ended while it started a Keep", hint="try again")

    def _take(self, started: tuple[int, int]) -> None:
        self._pidfd, fd = started
        self._link = socket.socket(fileno=fd)
        self._link.settimeout(PATIENCE)

    def _end(self, link: socket.socket) -> None:
        self._link = None
        link.close()
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        os.close(self._pidfd)


def _answer(packet: bytes) -> Answer | None:
    """Return the answer in a packet, or None if the packet has another form."""
    try:
        value: Any = decode(packet, "zygote's answer")
    except ParseError:
        return None
    if not isinstance(value, dict):
        return None
    wanted: dict[str, type] = {"code": str, "message": str, "hint": str}
    if value.get("ok") is True:
        wanted = {"pid": int, "layers": list}
    known = type(value.get("ok")) is bool and all(type(value.get(name)) is kind for name, kind in wanted.items())
    return value if known else None
