"""One connection to a supervisor: its request, its pending answer, and how long it may be idle."""

from __future__ import annotations

import json
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from enarx.host.state.output_store import Cursor
    from enarx.host.supervisor.intake import Intake

MAX_REQUEST = 4096
PATIENCE = 10.0
"""Seconds for a request to arrive."""

STALL = 60.0
"""Seconds after which a client that reads nothing, or has sent part of a frame, is closed if others wait."""

MAX_STREAMS = 64
"""The maximum number of connections that read output or send input. Management connections do not count."""

MAX_INVITED = 32
"""The maximum number of these connections of holders of an invitation; the rest is left to the tenant."""

MAX_SILENT = 32
"""The maximum number of connections that have not sent a request yet; a further connection replaces the oldest."""

BUFFER = 4 << 20
SO_SNDBUFFORCE = 32


class Client:
    """A connection: one line of request, then what its operation says. `op` is empty until the request has arrived.

    `invited` is whether the daemon serves the holder of an invitation with it. `intake` is what takes its input, if any.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        widen(connection)
        self.connection = connection
        self.fd = connection.fileno()
        self.op = ""
        self.cursor: Cursor | None = None
        self.intake: Intake | None = None
        self.follow = True
        self.invited = False
        self.frames = 0
        self.last = False
        self._request = b""
        self._out = b""
        self._moved = time.monotonic()

    @property
    def telling(self) -> bool:
        """Whether an answer is still to be sent."""
        return bool(self._out)

    def read_request(self) -> tuple[int, bool]:
        """Read the request and set `op`; returns `from` and `follow`, which only output uses.

        BlockingIOError until all of the request has arrived, EOFError at the end or if it is too long, ValueError if it is
        malformed. What follows the request stays in the socket.
        """
        while True:
            peeked = self.connection.recv(MAX_REQUEST - len(self._request), socket.MSG_PEEK)
            if not peeked:
                raise EOFError
            line, newline, _ = peeked.partition(b"\n")
            self.connection.recv(len(line) + len(newline))
            self._request += line
            if newline:
                break
        try:
            request = json.loads(self._request)
            self.op = str(request["op"]) or "none"
            self.invited = bool(request.get("invited", False))
            return int(request.get("from", 0)), bool(request.get("follow", True))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as e:
            raise ValueError("not a request") from e

    def say(self, value: dict[str, Any], *, last: bool = False) -> None:
        """Queue one line of the answer; `tell` sends it. With `last`, the connection ends after it."""
        self._out += json.dumps(value).encode() + b"\n"
        self.last = last
        self.touch()

    def tell(self) -> None:
        """Send what is queued. BlockingIOError if not all of it was taken."""
        while self._out:
            self._out = self._out[self.connection.send(self._out) :]
            self.touch()

    def touch(self) -> None:
        """Note that it has made progress."""
        self._moved = time.monotonic()

    def idle(self, now: float) -> bool:
        """Whether the client has used up its time. Called only while the supervisor waits for it."""
        return now - self._moved > (STALL if self.op else PATIENCE)

    def close(self) -> None:
        """Close the connection and its file."""
        if self.cursor is not None:
            self.cursor.close()
        self.connection.close()


def exceeded(client: Client, clients: Iterable[Client]) -> int:
    """The maximum number of streams that `client`, one of `clients`, exceeds with its request; 0 if it exceeds none."""
    streams = [other for other in clients if other.op in ("output", "input")]
    if client.invited and sum(other.invited for other in streams) > MAX_INVITED:
        return MAX_INVITED
    return MAX_STREAMS if len(streams) > MAX_STREAMS else 0


def widen(end: socket.socket) -> None:
    """Enlarge the send buffer for frames of a mebibyte, beyond the system's limit if this user may."""
    for option in (SO_SNDBUFFORCE, socket.SO_SNDBUF):
        try:
            end.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            return
        except OSError:
            continue
