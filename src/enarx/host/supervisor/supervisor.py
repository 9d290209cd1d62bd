"""A Keep's supervisor: a process that holds the Keep's control socket, stores its output, and serves a Unix socket.

It outlives the daemon. It exits after its Keep has ended and its readers have the output; the output stays on disk. It has one
thread and one loop, and reads only the length and type of a frame. The protocol is in docs/spec/host.md, "Supervisor".
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

from enarx.host.processes import Undisturbed, identities
from enarx.host.state.files import META, RECORD, SOCKET, discard, erase_scratch, rewrite_json, write_json
from enarx.host.state.output_store import Cursor, OutputStore
from enarx.host.supervisor.clients import Client, widen
from enarx.host.supervisor.frames import FrameError
from enarx.host.supervisor.intake import Intake
from enarx.host.supervisor.storing import Storing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from enarx.host.backends.backend import RunningKeep

MAX_STREAMS = 64
"""The maximum number of connections that read output or send input. Management connections do not count."""

MAX_SILENT = 32
"""The maximum number of connections that have not sent a request yet; a further connection replaces the oldest."""

TURN = 16
"""Frames to read from one peer before the others have their turn."""

LOOK = 1.0
"""Seconds between two checks of deadlines."""

ENDED = ("ended", "the Keep has ended")
LINGER = 600.0
"""Seconds after the Keep's end for its readers to read the rest; later readers get it from disk."""


class Supervisor:
    """Supervises one Keep. `info` describes its launch for clients, and `directory` is a descriptor of the Keep's directory.

    A Keep that gets no frame within `unused` seconds of its claim is ended; 0 lets it wait forever. With `until`, a
    descriptor, the supervisor runs until the other end is closed, even after the Keep has ended.
    """

    def __init__(
        self,
        *,
        keep: RunningKeep,
        listener: socket.socket,
        directory: int,
        stored_output: int,
        stored_results: int,
        info: dict[str, Any],
        unused: float = 0.0,
        until: int = -1,
    ) -> None:
        self._scratch = keep.scratch
        self._keep: socket.socket | None = keep.control
        self._handle = keep.handle
        self._listener = listener
        self._directory = directory
        self._unused = unused
        self._until = until
        self._output = OutputStore(directory, stored_output, stored_results)
        self._info = {**info, "layers": keep.layers, "keep_pid": keep.handle.pid, "pid": os.getpid()}
        self._info |= {"state": "running", "started": time.time(), "ended": None, "reason": ""}
        self._info |= {"facts": keep.facts} if keep.facts else {}
        self.processes = identities(supervisor=os.getpid(), keep=keep.handle.pid)
        self._clients: dict[int, Client] = {}
        self._storing = Storing(self._output, self._cursors, forgets=until >= 0)
        self._intake = Intake(patient=until >= 0)
        self._is_abandoned = self._is_deaf = self._is_dead = False
        self._claimed = self._ended = 0.0
        for end in (keep.control, listener):
            end.setblocking(False)
        widen(keep.control)
        self._report(write_json)

    def serve(self) -> None:
        """Serve until the Keep has ended and nobody reads, until `until` is closed, or until SIGTERM.

        The Keep does not outlive this call.
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            while not self._is_over():
                self._turn()
        except SystemExit:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._end()
        finally:
            self._handle.kill()
            erase_scratch(self._scratch)

    def _is_over(self) -> bool:
        return self._is_abandoned or (self._until < 0 and self._keep is None and not self._clients)

    def _turn(self) -> None:
        poll = select.poll()
        handlers = self._register(poll)
        pause = self._pause()
        for fd, _ in poll.poll(None if pause is None else pause * 1000):
            handler = handlers.get(fd)
            if handler is not None and not self._is_abandoned:
                handler()
        if pause is not None:
            self._check_deadlines(time.monotonic())

    def _register(self, poll: select.poll) -> dict[int, Callable[[], None]]:
        handlers: dict[int, Callable[[], None]] = {}

        def watch(fd: int, events: int, handler: Callable[[], None]) -> None:
            poll.register(fd, events)
            handlers[fd] = handler

        if self._until >= 0:
            watch(self._until, select.POLLIN, self._command_gone)
        if self._listener.fileno() >= 0 and not self._is_deaf:
            watch(self._listener.fileno(), select.POLLIN, self._accept)
        if self._keep is not None:
            if not self._is_dead:
                watch(self._handle.fileno(), select.POLLIN, self._died)
            events = (0 if self._storing.held() else select.POLLIN) | (
                select.POLLOUT if self._intake.frame.whole else 0
            )
            if events:  # with no events, poll would still report a hang-up, again and again
                watch(self._keep.fileno(), events, self._keep_ready)
        for client in self._clients.values():
            events = self._events(client)
            if events:
                watch(client.fd, events, lambda c=client: self._client_ready(c))  # type: ignore[misc]
        return handlers

    def _events(self, client: Client) -> int:
        if client.telling:
            return select.POLLOUT
        if client.cursor is not None and not client.cursor.done:
            return select.POLLIN | select.POLLOUT
        return 0 if client is self._intake.holder and self._intake.frame.whole else select.POLLIN

    # Deadlines

    def _pause(self) -> float | None:
        """Seconds until deadlines are checked again; None if there is no deadline."""
        if (
            self._is_deaf
            or self._storing.stuck
            or self._intake.holder is not None
            or any(map(self._is_waited_for, self._clients.values()))
        ):
            return LOOK
        return min(30.0, self._unused / 4) if self._is_unused() else None

    def _check_deadlines(self, now: float) -> None:
        self._is_deaf = False
        if self._storing.stuck:
            self._storing.stuck = False
            (self._died if self._is_dead else self._keep_ready)()
        if self._is_unused():
            self._check_claim(now)
        late = self._ended and now - self._ended > LINGER
        for client in [c for c in self._clients.values() if self._is_waited_for(c)]:
            if late or client.idle(now):
                self._close(client)
        self._end_slow_input(wanted=False)

    def _is_waited_for(self, client: Client) -> bool:
        """Whether the supervisor waits for this client, so that the client's silence has a cost."""
        if client is self._intake.holder:
            return False  # the intake has its own deadline
        if client.telling or not client.op or self._keep is None:
            return True
        return client.cursor is not None and self._output.full and client.cursor.holds

    def _is_unused(self) -> bool:
        return self._unused > 0 and self._keep is not None and not self._intake.taken and not self._output.next

    def _check_claim(self, now: float) -> None:
        """End the Keep if it has been claimed but not used for too long; a Keep in the pool waits."""
        if not self._claimed:
            try:
                os.stat(RECORD, dir_fd=self._directory, follow_symlinks=False)
            except OSError:
                return
            self._claimed = now
        elif now - self._claimed > self._unused:
            self._info["reason"] = "unused"
            self._end()

    # The Keep

    def _keep_ready(self) -> None:
        if self._keep is not None and self._intake.frame.whole:
            self._intake.pass_on(self._keep)
        for _ in range(TURN):
            if self._keep is None or self._storing.held() or not self._storing.receive(self._keep):
                break
        if self._storing.over:
            self._end()
        self._feed_readers()

    def _died(self) -> None:
        """Its process is gone. What is still in the socket is stored even beyond the limit."""
        self._is_dead = True
        while self._keep is not None and self._storing.receive(self._keep):
            continue
        if not self._storing.stuck:
            self._end()

    def _end(self) -> None:
        """End the Keep if it runs, write the last report, and accept no more connections."""
        self._handle.kill()
        if self._keep is None:
            return
        with Undisturbed():  # a SIGTERM midway would leave the report unwritten, and the Keep `lost`
            self._keep.close()
            self._keep = None
            self._ended = time.monotonic()
            self._info |= {"state": "ended", "ended": time.time()}
            try:
                self._report(rewrite_json)
            except OSError:
                pass  # a read-only disk: the daemon sees from the processes that the Keep has ended
        erase_scratch(self._scratch)
        if self._until < 0:
            self._listener.close()
            discard(self._directory, SOCKET)
        self._tell_the_end()

    def _tell_the_end(self) -> None:
        if self._intake.holder is not None:
            self._refuse(self._intake.holder, *ENDED)
        for client in list(self._clients.values()):
            if client.op == "stop":
                self._answer(client, {})
            elif not client.op and self._until < 0:
                self._close(client)
        self._feed_readers()

    def _command_gone(self) -> None:
        self._is_abandoned = not os.read(self._until, 1)

    def _report(self, write: Callable[[int, str, dict[str, Any]], None]) -> None:
        """Write the report that a daemon reads once this process is gone."""
        own = {"scratch": self._scratch, "processes": self.processes}
        write(self._directory, META, self._info | self._output.numbers() | own)

    # Clients

    def _accept(self) -> None:
        silent = [client for client in self._clients.values() if not client.op]
        if len(silent) >= MAX_SILENT:
            self._close(silent[0])
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptors are left, for example: serve the other clients meanwhile
            self._is_deaf = True
            return
        client = self._clients[connection.fileno()] = Client(connection)
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
        elif client is self._intake.holder:
            self._take(client)
        elif not client.connection.recv(1 << 16):  # nothing more is expected of it but its end
            self._close(client)

    def _read_request(self, client: Client) -> None:
        try:
            start, follow = client.read_request()
        except ValueError:
            self._refuse(client, "usage", "not a request")
            return
        self._begin(client, start, follow=follow)

    def _begin(self, client: Client, start: int, *, follow: bool) -> None:
        op = client.op
        if op == "info":
            self._answer(client, {**self._info, **self._output.numbers()})
        elif op in ("output", "input") and self._is_crowded():
            self._refuse(client, "crowded", f"{MAX_STREAMS} connections are open to this Keep", "try again later")
        elif op == "output":
            client.cursor, client.follow = Cursor(self._output, max(0, start)), follow
            client.say({"ok": True, "first": self._output.first})
        elif op == "input":
            self._begin_input(client)
        elif op == "stop" and self._keep is None:
            self._answer(client, {})
        elif op == "stop":
            self._handle.kill()
        else:
            self._refuse(client, "usage", "unknown operation")
        self._client_ready(client)

    def _is_crowded(self) -> bool:
        return sum(client.op in ("output", "input") for client in self._clients.values()) > MAX_STREAMS

    def _answer(self, client: Client, value: dict[str, Any]) -> None:
        client.say({"ok": True, **value}, last=True)
        self._client_ready(client)

    def _refuse(self, client: Client, code: str, message: str, hint: str = "") -> None:
        self._release(client)
        client.op = "none"
        client.say({"ok": False, "code": code, "message": message, "hint": hint}, last=True)
        self._client_ready(client)

    def _close(self, client: Client) -> None:
        if self._clients.pop(client.fd, None) is not None:
            self._release(client)
            client.close()

    # Input: whole frames, one connection at a time

    def _begin_input(self, client: Client) -> None:
        self._end_slow_input(wanted=True)
        if self._keep is None:
            self._refuse(client, *ENDED)
        elif self._intake.holder is not None:
            self._refuse(client, "busy", "another connection is giving this Keep input", "try again later")
        else:
            self._intake.take(client)
            client.say({"ok": True})

    def _end_slow_input(self, *, wanted: bool) -> None:
        if self._intake.holder is not None and self._intake.is_slow(wanted=wanted):
            self._refuse(self._intake.holder, "slow", "the next frame took too long to arrive")

    def _release(self, client: Client) -> None:
        if client is self._intake.holder:
            self._intake.release()

    def _take(self, client: Client) -> None:
        """Read frames from this client, and pass each to the Keep once it is whole."""
        try:
            for _ in range(TURN):
                if self._keep is None or self._intake.frame.whole:  # the Keep has not taken all of the last frame
                    return
                self._intake.read(client)
                self._intake.pass_on(self._keep)
        except FrameError as e:
            self._refuse(client, e.code, str(e))
        except EOFError:
            self._finish_input(client)

    def _finish_input(self, client: Client) -> None:
        if self._intake.frame.begun:
            self._refuse(client, "cut", "the input ended within a frame, which was not given to the Keep")
        else:
            self._release(client)
            self._answer(client, {"frames": client.frames})

    # Output

    def _cursors(self) -> list[Cursor]:
        return [client.cursor for client in self._clients.values() if client.cursor is not None]

    def _feed_readers(self) -> None:
        for client in list(self._clients.values()):
            if client.cursor is not None and not client.telling:
                self._client_ready(client)

    def _feed(self, client: Client, cursor: Cursor) -> None:
        """Send this reader as much as it takes, then check that it is still connected."""
        try:
            while cursor.send(client.fd):
                client.touch()
        except BlockingIOError:
            pass
        else:
            client.last = self._keep is None or not client.follow
        if client.last or not client.connection.recv(1 << 16):  # a reader sends nothing, so this is its end
            self._close(client)
