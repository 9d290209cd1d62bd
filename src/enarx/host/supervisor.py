"""One Keep's supervisor: a process that holds the Keep's control socket, keeps its output, and answers on a Unix socket.

It goes on when the daemon ends, and ends with its Keep's removal. One thread, one loop, no frame looked into. The
protocol on its socket is in docs/spec/host.md, "Supervisor".
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from enarx.host.log import Cursor, Log

LENGTH = 4
MAX_FRAME = (1 << 20) + (64 << 10)
MAX_REQUEST = 4096
MAX_CLIENTS = 64
STALL = 60.0
"""Seconds after which a reader that takes nothing no longer holds the Keep back."""

BUFFER = 4 << 20
SO_SNDBUFFORCE = 32


class Client:
    """One connection: first a line of request, then as its operation wants."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.fd = connection.fileno()
        self.request = b""
        self.out = b""
        self.op = ""
        self.cursor: Cursor | None = None
        self.follow = True
        self.moved = time.monotonic()
        self.frames = 0
        self.ended = False


class Supervisor:
    """Everything about one Keep. `info` is what is known of its launch; `scratch` a directory to remove with it."""

    def __init__(
        self,
        *,
        keep: socket.socket,
        pidfd: int,
        listener: socket.socket,
        directory: str,
        stored_output: int,
        info: dict[str, Any],
        scratch: str = "",
    ) -> None:
        self._scratch = scratch
        self._keep: socket.socket | None = keep
        self._pidfd = pidfd
        self._listener = listener
        self._directory = directory
        self._log = Log(directory, stored_output)
        self._info = {**info, "state": "running", "started": time.time(), "ended": None}
        self._clients: dict[int, Client] = {}
        self._input: Client | None = None
        self._frame = memoryview(bytearray(LENGTH + MAX_FRAME))
        self._frame_have = self._frame_sent = 0
        self._from_keep = memoryview(bytearray(LENGTH + MAX_FRAME))
        self._from_keep_have = 0
        self._removed = False
        for end in (keep, listener):
            end.setblocking(False)
        widen(keep)
        self._note()

    def serve(self, *, until: int = -1) -> None:
        """Until the Keep is removed, or descriptor `until` is at its end (then everything is taken down)."""
        signal.signal(signal.SIGTERM, lambda *_: self._remove())
        while not self._removed:
            poll = select.poll()
            handlers = self._register(poll, until)
            for fd, _ in poll.poll(self._timeout()):
                handler = handlers.get(fd)
                if handler is not None and not self._removed:
                    handler()
            self._drop_stalled()

    def _register(self, poll: select.poll, until: int) -> dict[int, Callable[[], None]]:
        handlers: dict[int, Callable[[], None]] = {}

        def watch(fd: int, events: int, handler: Callable[[], None]) -> None:
            poll.register(fd, events)
            handlers[fd] = handler

        if until >= 0:
            watch(until, select.POLLIN, lambda: self._tenant_gone(until))
        watch(self._listener.fileno(), select.POLLIN, self._accept)
        if self._keep is not None:
            sending = self._frame_sent < self._frame_complete()
            events = (0 if self._held() else select.POLLIN) | (select.POLLOUT if sending else 0)
            watch(self._keep.fileno(), events, self._keep_ready)
        for client in self._clients.values():
            events = self._events(client)
            if events:
                watch(client.fd, events, lambda c=client: self._client_ready(c))  # type: ignore[misc]
        return handlers

    def _events(self, client: Client) -> int:
        if client.out:
            return select.POLLOUT
        if client.cursor is not None:
            return select.POLLIN | (0 if client.cursor.done else select.POLLOUT)
        if client.op == "input":
            return 0 if self._frame_complete() else select.POLLIN
        return select.POLLIN

    def _timeout(self) -> float | None:
        return 1000.0 if self._held() else None

    # The Keep

    def _held(self) -> bool:
        """Is the store full, and a reader still to have the oldest of it?"""
        if not self._log.full:
            return False
        oldest = self._log.first
        return any(c.cursor is not None and c.cursor.segment in (-1, oldest) for c in self._clients.values())

    def _drop_stalled(self) -> None:
        if self._held():
            now = time.monotonic()
            for client in [c for c in self._clients.values() if c.cursor is not None and now - c.moved > STALL]:
                self._close(client)

    def _keep_ready(self) -> None:
        if self._frame_complete():
            self._send_frame()
        if not self._held():
            self._receive()

    def _receive(self) -> None:
        """Frames from the Keep, whole, into the log."""
        assert self._keep is not None
        wanted = LENGTH
        if self._from_keep_have >= LENGTH:
            wanted += int.from_bytes(self._from_keep[:LENGTH], "big")
        try:
            count = self._keep.recv_into(self._from_keep[self._from_keep_have : wanted])
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            self._keep_ended()
            return
        self._from_keep_have += count
        if self._from_keep_have == LENGTH and int.from_bytes(self._from_keep[:LENGTH], "big") not in range(1, MAX_FRAME + 1):
            self._kill()
        elif self._from_keep_have == wanted and wanted > LENGTH:
            while self._log.full:
                self._log.drop()
            self._log.append(self._from_keep[:wanted])
            self._from_keep_have = 0
            self._feed_readers()

    def _keep_ended(self) -> None:
        if self._keep is not None:
            self._keep.close()
        self._keep = None
        self._kill()
        self._info |= {"state": "ended", "ended": time.time()}
        self._note()
        erase_scratch(self._scratch)
        if self._input is not None:
            self._refuse(self._input, "ended", "the Keep has ended")
        self._feed_readers()

    def _kill(self) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended by itself

    def _remove(self) -> None:
        """Kill, erase, end."""
        self._removed = True
        self._kill()
        self._listener.close()
        erase_scratch(self._scratch)
        erase(self._directory)

    def _tenant_gone(self, until: int) -> None:
        if not os.read(until, 1):
            self._remove()

    def _note(self) -> None:
        """What a daemon finds when this process is gone."""
        write_json(f"{self._directory}/meta.json", {**self._info, "supervisor": os.getpid()})

    # Clients

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS:
            connection.close()
            return
        connection.setblocking(False)
        widen(connection)
        client = Client(connection)
        self._clients[client.fd] = client
        self._client_ready(client)

    def _client_ready(self, client: Client) -> None:
        try:
            self._advance(client)
        except BlockingIOError:
            return
        except OSError:
            self._close(client)

    def _advance(self, client: Client) -> None:
        if client.out:
            client.out = client.out[client.connection.send(client.out) :]
            if client.out:
                return
            client.moved = time.monotonic()
        if client.cursor is not None:
            self._feed(client)
        elif client.op == "input":
            self._take(client)
        elif client.op:
            self._close(client)
        else:
            self._read_request(client)

    def _read_request(self, client: Client) -> None:
        """The request line; what follows it stays in the socket."""
        peeked = client.connection.recv(MAX_REQUEST, socket.MSG_PEEK)
        line, found, _ = peeked.partition(b"\n")
        if not peeked or (not found and len(peeked) >= MAX_REQUEST):
            self._close(client)
        elif found:
            client.connection.recv(len(line) + 1)
            self._request(client, line)

    def _request(self, client: Client, line: bytes) -> None:
        try:
            request = json.loads(line)
            op = request["op"]
            start, follow = int(request.get("from", 0)), bool(request.get("follow", True))
        except (ValueError, TypeError, KeyError, AttributeError):
            self._refuse(client, "usage", "not a request")
            return
        client.op = str(op)
        if op == "info":
            self._answer(client, {**self._info, **self._numbers()})
        elif op == "output":
            client.cursor, client.follow = Cursor(self._log, max(0, start)), follow
            self._answer(client, {"first": self._log.first})
        elif op == "input":
            self._begin_input(client)
        elif op == "stop":
            self._kill()
            self._answer(client, {})
        elif op == "remove" and (self._keep is None or request.get("force")):
            self._answer(client, {})
            self._remove()
        elif op == "remove":
            self._refuse(client, "not-ended", "the Keep is running", "stop it first, or force")
        else:
            self._refuse(client, "usage", "an operation that is not known")

    def _numbers(self) -> dict[str, Any]:
        log = self._log
        return {"frames": log.next, "first": log.first, "stored": log.stored, "dropped": log.dropped, "pid": os.getpid()}

    def _answer(self, client: Client, value: dict[str, Any]) -> None:
        client.out += json.dumps({"ok": True, **value}).encode() + b"\n"
        self._client_ready(client)

    def _refuse(self, client: Client, code: str, message: str, hint: str = "") -> None:
        if self._input is client:
            self._input = None
            self._frame_have = self._frame_sent = 0
        client.op = "refused"
        client.out += json.dumps({"ok": False, "code": code, "message": message, "hint": hint}).encode() + b"\n"
        self._client_ready(client)

    def _close(self, client: Client) -> None:
        if self._clients.pop(client.fd, None) is None:
            return
        if self._input is client:
            self._input = None
            if not self._frame_complete():
                self._frame_have = 0  # part of a frame goes with the connection that brought it
        if client.cursor is not None:
            client.cursor.close()
        client.connection.close()

    # Input: whole frames, one connection at a time

    def _begin_input(self, client: Client) -> None:
        if self._keep is None:
            self._refuse(client, "ended", "the Keep has ended")
        elif self._input is not None:
            self._refuse(client, "busy", "another connection is giving this Keep input")
        else:
            self._input = client
            self._answer(client, {})

    def _frame_complete(self) -> int:
        """The length of the frame in hand if it is whole, else 0."""
        if self._frame_have < LENGTH:
            return 0
        wanted = LENGTH + int.from_bytes(self._frame[:LENGTH], "big")
        return wanted if self._frame_have == wanted else 0

    def _take(self, client: Client) -> None:
        """More of the frame in hand; once it is whole, to the Keep."""
        if self._frame_complete():
            return
        wanted = LENGTH
        if self._frame_have >= LENGTH:
            wanted += int.from_bytes(self._frame[:LENGTH], "big")
        count = client.connection.recv_into(self._frame[self._frame_have : wanted])
        if not count:
            self._end_input(client)
            return
        self._frame_have += count
        if self._frame_have == LENGTH and int.from_bytes(self._frame[:LENGTH], "big") not in range(1, MAX_FRAME + 1):
            self._refuse(client, "frame-size", f"a frame over {MAX_FRAME} bytes")
        elif self._frame_complete():
            client.frames += 1
            self._send_frame()

    def _end_input(self, client: Client) -> None:
        self._input = None
        cut = self._frame_have > 0
        self._frame_have = 0
        client.op = "done"
        if cut:
            self._refuse(client, "cut", "the input ended within a frame, which was not given to the Keep")
        else:
            self._answer(client, {"frames": client.frames})

    def _send_frame(self) -> None:
        if self._keep is None:
            return
        total = self._frame_complete()
        try:
            while self._frame_sent < total:
                self._frame_sent += self._keep.send(self._frame[self._frame_sent : total], socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:
            return  # its end is seen where it is read
        self._frame_have = self._frame_sent = 0

    # Output

    def _feed_readers(self) -> None:
        for client in [c for c in self._clients.values() if c.cursor is not None and not c.out]:
            self._client_ready(client)

    def _feed(self, client: Client) -> None:
        assert client.cursor is not None
        while client.cursor.send(client.fd):
            client.moved = time.monotonic()
        if client.cursor.done and (self._keep is None or not client.follow):
            self._close(client)
        elif not client.connection.recv(1, socket.MSG_PEEK):
            self._close(client)  # a reader never says anything; its end is all there is to read


def widen(end: socket.socket) -> None:
    """Buffers for frames of a mebibyte; more than the default where this user may."""
    for option in (SO_SNDBUFFORCE, socket.SO_SNDBUF):
        try:
            end.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            return
        except OSError:
            continue


def write_json(path: str, value: dict[str, Any]) -> None:
    """A file that is there whole or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def erase_scratch(path: str) -> None:
    """Remove the directory in memory that a Keep without a mount namespace of its own has worked in."""
    if not path.startswith("/dev/shm/enarx-keep-"):
        return
    for where, directories, files in os.walk(path, topdown=False):
        for name in files:
            os.unlink(f"{where}/{name}")
        for name in directories:
            found = f"{where}/{name}"
            (os.unlink if os.path.islink(found) else os.rmdir)(found)
    os.rmdir(path)


def erase(directory: str) -> None:
    """Remove a Keep's directory: it has files and no directories. The daemon's record of it goes first."""
    try:
        for name in sorted(os.listdir(directory), key=lambda name: name != "record.json"):
            os.unlink(f"{directory}/{name}")
        os.rmdir(directory)
    except FileNotFoundError:
        return
