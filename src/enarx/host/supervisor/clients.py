"""What a supervisor knows of one connection to it: its request, what it is still to be told, how long it may be idle."""

from __future__ import annotations

import json
import socket
import time

from enarx.host.state.output_store import Cursor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_REQUEST = 4096
PATIENCE = 10.0
"""Seconds for a request to be said."""

STALL = 60.0
"""Seconds after which a client that takes nothing, or is in the middle of a frame, holds nobody up any longer."""

BUFFER = 4 << 20
SO_SNDBUFFORCE = 32


class Client:
    """One connection: first a line of request, then as its operation wants. `op` is empty until it is known."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        widen(connection)
        self.connection = connection
        self.fd = connection.fileno()
        self.op = ""
        self.cursor: Cursor | None = None
        self.follow = True
        self.frames = 0
        self.last = False
        self._request = b""
        self._out = b""
        self._moved = time.monotonic()

    @property
    def telling(self) -> bool:
        """Is there something that it has still to be told?"""
        return bool(self._out)

    def read_request(self) -> tuple[int, bool]:
        """From which number on, and whether to follow, where output is wanted; what is wanted is `op` from now on.

        BlockingIOError as long as the request is not all there, EOFError at the end or if it is too long, ValueError if it
        is none. What follows it stays in the socket.
        """
        while True:
            peeked = self.connection.recv(MAX_REQUEST - len(self._request), socket.MSG_PEEK)
            if not peeked:
                raise EOFError
            line, found, _ = peeked.partition(b"\n")
            self.connection.recv(len(line) + len(found))
            self._request += line
            if found:
                break
        try:
            request = json.loads(self._request)
            self.op = str(request["op"]) or "none"
            return int(request.get("from", 0)), bool(request.get("follow", True))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as e:
            raise ValueError("not a request") from e

    def say(self, value: dict[str, Any], *, last: bool = False) -> None:
        """One line of answer, the `last` one perhaps; it goes out with `tell`."""
        self._out += json.dumps(value).encode() + b"\n"
        self.last = last
        self.touch()

    def tell(self) -> None:
        """Send what it has still to be told; BlockingIOError if it does not all go."""
        while self._out:
            self._out = self._out[self.connection.send(self._out) :]
            self.touch()

    def touch(self) -> None:
        """It has done something."""
        self._moved = time.monotonic()

    def idle(self, now: float) -> bool:
        """Has it been given enough time? Only ever asked where it is its turn."""
        return now - self._moved > (STALL if self.op else PATIENCE)

    def close(self) -> None:
        """Let go of it."""
        if self.cursor is not None:
            self.cursor.close()
        self.connection.close()


def widen(end: socket.socket) -> None:
    """Buffers for frames of a mebibyte; more than the default where this user may."""
    for option in (SO_SNDBUFFORCE, socket.SO_SNDBUF):
        try:
            end.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            return
        except OSError:
            continue
