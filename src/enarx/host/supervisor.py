"""One Keep's supervisor: a process that holds the Keep's control socket, keeps its output, and answers on a Unix socket.

It goes on when the daemon ends, and ends with its Keep's removal. One thread, one loop, no frame looked into. The
protocol on its socket is in docs/spec/host.md, "Supervisor".
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

from enarx.host.clients import Client, widen
from enarx.host.files import erase, erase_scratch, write_json
from enarx.host.frames import MAX_FRAME, Frame, FrameSizeError
from enarx.host.log import Cursor, Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_CLIENTS = 64
TURN = 16
"""Frames that one end may bring before the others have their turn."""

LOOK = 1000
"""Milliseconds between looks at clients that somebody waits for."""


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
        self._in, self._out = Frame(), Frame()
        self._removed = False
        for end in (keep, listener):
            end.setblocking(False)
        widen(keep)
        self._note()

    def serve(self, *, until: int = -1) -> None:
        """Until the Keep is removed, or descriptor `until` is at its end, or SIGTERM. The Keep does not outlive it."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            while not self._removed:
                self._turn(until)
        except SystemExit:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._end()
        finally:
            self._kill()
            erase_scratch(self._scratch)

    def _turn(self, until: int) -> None:
        poll = select.poll()
        handlers = self._register(poll, until)
        waited_for = [client for client in self._clients.values() if self._is_waited_for(client)]
        for fd, _ in poll.poll(LOOK if waited_for else None):
            handler = handlers.get(fd)
            if handler is not None and not self._removed:
                handler()
        now = time.monotonic()
        for client in waited_for:
            if client.idle(now) and self._is_waited_for(client):
                self._close(client)

    def _register(self, poll: select.poll, until: int) -> dict[int, Callable[[], None]]:
        handlers: dict[int, Callable[[], None]] = {}

        def watch(fd: int, events: int, handler: Callable[[], None]) -> None:
            poll.register(fd, events)
            handlers[fd] = handler

        if until >= 0:
            watch(until, select.POLLIN, lambda: self._tenant_gone(until))
        watch(self._listener.fileno(), select.POLLIN, self._accept)
        if self._keep is not None:
            events = (0 if self._held() else select.POLLIN) | (select.POLLOUT if self._in.whole else 0)
            if events:  # else its end would wake us for nothing
                watch(self._keep.fileno(), events, self._keep_ready)
        for client in self._clients.values():
            events = self._events(client)
            if events:
                watch(client.fd, events, lambda c=client: self._client_ready(c))  # type: ignore[misc]
            if client.op == "stop":
                watch(self._pidfd, select.POLLIN, self._killed)
        return handlers

    def _events(self, client: Client) -> int:
        if client.telling:
            return select.POLLOUT
        if client.cursor is not None and not client.cursor.done:
            return select.POLLIN | select.POLLOUT
        return 0 if client is self._input and self._in.whole else select.POLLIN

    def _is_waited_for(self, client: Client) -> bool:
        """Is it this client's turn, and does its silence cost anything?"""
        if client is self._input:
            return self._in.begun and not self._in.whole
        return client.telling or not client.op or (client.cursor is not None and self._log.full and client.cursor.holds)

    # The Keep

    def _held(self) -> bool:
        """Is the store full, and a reader still to have the oldest of it?"""
        return self._log.full and any(c.cursor is not None and c.cursor.holds for c in self._clients.values())

    def _keep_ready(self) -> None:
        if self._in.whole:
            self._pass_on()
        for _ in range(TURN):
            if self._keep is None or self._held() or not self._receive(self._keep):
                break
        self._feed_readers()

    def _receive(self, keep: socket.socket) -> bool:
        """One whole frame from the Keep into the log, if there is one."""
        try:
            self._out.read(keep)
        except BlockingIOError:
            return False
        except (EOFError, OSError, FrameSizeError):
            self._end()
            return False
        while self._log.full and not self._held():
            self._log.drop()
        self._log.append(self._out.data)
        self._out.clear()
        return True

    def _end(self) -> None:
        """The Keep has ended, or is ended now."""
        self._kill()
        if self._keep is None:
            return
        self._keep.close()
        self._keep = None
        self._info |= {"state": "ended", "ended": time.time()}
        try:
            self._note()
        except OSError:
            pass  # a full disk; whoever asks is still told
        erase_scratch(self._scratch)
        if self._input is not None:
            self._refuse(self._input, "ended", "the Keep has ended")
        for client in list(self._clients.values()):
            if client.op == "wait":
                self._answer(client, {"state": "ended"})
        self._feed_readers()

    def _kill(self) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended by itself

    def _killed(self) -> None:
        """Its process is gone. What it has sent before, which is no more than a socket holds, is kept over the limit."""
        while self._keep is not None and self._receive(self._keep):
            continue
        self._end()
        for client in list(self._clients.values()):
            if client.op == "stop":
                self._answer(client, {})
        self._feed_readers()

    def _tenant_gone(self, until: int) -> None:
        self._removed = not os.read(until, 1)

    def _note(self) -> None:
        """What a daemon finds when this process is gone."""
        write_json(f"{self._directory}/meta.json", {**self._info, "supervisor": os.getpid()})

    # Clients

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        client = Client(connection)
        self._clients[client.fd] = client
        if len(self._clients) > MAX_CLIENTS:
            self._refuse(client, "crowded", f"{MAX_CLIENTS} connections are open to this Keep", "try again later")
            self._close(client)
        else:
            self._client_ready(client)

    def _client_ready(self, client: Client) -> None:
        try:
            self._advance(client)
        except BlockingIOError:
            return
        except (EOFError, OSError):
            self._close(client)

    def _advance(self, client: Client) -> None:
        client.tell()
        if client.last:
            self._close(client)
        elif not client.op:
            self._read_request(client)
        elif client.cursor is not None:
            self._feed(client, client.cursor)
        elif client is self._input:
            self._take(client)
        elif not client.connection.recv(1 << 16):  # it has nothing more to say: its end is all there is to read
            self._close(client)

    def _read_request(self, client: Client) -> None:
        try:
            request = client.read_request()
            client.op = str(request["op"])
            start, follow = int(request.get("from", 0)), bool(request.get("follow", True))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            client.op = "none"
            self._refuse(client, "usage", "not a request")
            return
        self._begin(client, start, follow=follow, force=request.get("force") is True)

    def _begin(self, client: Client, start: int, *, follow: bool, force: bool) -> None:
        op, running = client.op, self._keep is not None
        if op == "info":
            self._answer(client, {**self._info, **self._numbers()})
        elif op == "output":
            client.cursor, client.follow = Cursor(self._log, max(0, start)), follow
            client.say({"ok": True, "first": self._log.first})
        elif op == "input":
            self._begin_input(client)
        elif op in ("stop", "wait") and not running:
            self._answer(client, {"state": "ended"})
        elif op == "stop":
            self._kill()
        elif op == "remove" and running and not force:
            self._refuse(client, "not-ended", "the Keep is running", "stop it first, or force")
        elif op == "remove":
            self._remove(client)
        elif op != "wait":
            self._refuse(client, "usage", "an operation that is not known")
        self._client_ready(client)

    def _remove(self, client: Client) -> None:
        """Kill, erase, say so, end."""
        self._end()
        self._listener.close()
        erase(self._directory)
        self._answer(client, {})
        self._removed = True

    def _numbers(self) -> dict[str, Any]:
        log = self._log
        return {
            "frames": log.next,
            "first": log.first,
            "stored": log.stored,
            "dropped": log.dropped,
            "pid": os.getpid(),
        }

    def _answer(self, client: Client, value: dict[str, Any]) -> None:
        client.say({"ok": True, **value}, last=True)
        self._client_ready(client)

    def _refuse(self, client: Client, code: str, message: str, hint: str = "") -> None:
        self._release(client)
        client.say({"ok": False, "code": code, "message": message, "hint": hint}, last=True)
        self._client_ready(client)

    def _close(self, client: Client) -> None:
        if self._clients.pop(client.fd, None) is not None:
            self._release(client)
            client.close()

    # Input: whole frames, one connection at a time

    def _begin_input(self, client: Client) -> None:
        if self._keep is None:
            self._refuse(client, "ended", "the Keep has ended")
        elif self._input is not None:
            self._refuse(client, "busy", "another connection is giving this Keep input")
        else:
            self._input = client
            client.say({"ok": True})

    def _release(self, client: Client) -> None:
        """It gives no more input; part of a frame goes with the connection that brought it."""
        if client is self._input:
            self._input = None
            if not self._in.whole:
                self._in.clear()

    def _take(self, client: Client) -> None:
        """Frames from this client, each to the Keep once it is whole."""
        client.touch()
        try:
            for _ in range(TURN):
                if self._in.whole:  # the Keep has not taken all of it yet
                    return
                self._in.read(client.connection)
                client.frames += 1
                self._pass_on()
        except FrameSizeError:
            self._refuse(client, "frame-size", f"a frame of no size that there is: wanted 1 to {MAX_FRAME} bytes")
        except EOFError:
            self._finish_input(client)

    def _finish_input(self, client: Client) -> None:
        if self._in.begun:
            self._refuse(client, "cut", "the input ended within a frame, which was not given to the Keep")
        else:
            self._release(client)
            self._answer(client, {"frames": client.frames})

    def _pass_on(self) -> None:
        if self._keep is None:
            return
        try:
            self._in.write(self._keep)
        except BlockingIOError:
            return
        except OSError:
            self._in.clear()  # its end is seen where it is read

    # Output

    def _feed_readers(self) -> None:
        for client in list(self._clients.values()):
            if client.cursor is not None and not client.telling:
                self._client_ready(client)

    def _feed(self, client: Client, cursor: Cursor) -> None:
        """As much as it takes, then see whether it is still there."""
        try:
            while cursor.send(client.fd):
                client.touch()
        except BlockingIOError:
            pass
        else:
            client.last = self._keep is None or not client.follow
        if client.last or not client.connection.recv(1 << 16):  # a reader never says anything: only its end counts
            self._close(client)
