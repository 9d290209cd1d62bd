"""All connections together: which are accepted, which give way, and the bounds on what they hold.

When a bound is reached, the connection that has waited or stalled the longest is closed, so that a crowd of idle clients
cannot keep others out.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
from collections.abc import Callable
from itertools import chain

from starlette.types import ASGIApp

from enarx.host import events
from enarx.host.errors import HostError
from enarx.host.http.connection import Connection
from enarx.host.http.doors import Door
from enarx.host.http.exchange import Exchange, refusal
from enarx.host.http.limits import RESERVE, Limits

TURN = 16
"""Connections accepted before established connections have their turn."""

REST = 0.1
"""Seconds without accepting while no descriptors are left: new clients wait in the kernel's queue."""

SWEEP = 1.0
SPENT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
CROWDED = HostError("crowded", "too many connections", hint="try again later")


class Entrance:
    """Accepts connections. Made within a running loop; `refused` is called for requests that never reach the application."""

    def __init__(self, application: ASGIApp, limits: Limits, refused: Callable[[HostError], None]) -> None:
        self.limits, self.refused, self.closing = limits, refused, False
        self._application = application
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._doors: list[Door] = []
        self._connections: dict[Connection, None] = {}
        self._waiting: dict[Connection, None] = {}
        self._peers: dict[str, dict[Connection, None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unread = self._unsent = 0
        self._room = asyncio.Event()
        self._room.set()
        self._sweeper = self._loop.create_task(self._sweep())

    def open(self, door: Door) -> None:
        """Accept clients on a listening socket."""
        self._doors.append(door)
        self._loop.add_reader(door.socket, self._accept, door)

    # Accepting

    def _accept(self, door: Door) -> None:
        for _ in range(TURN):
            try:
                accepted, _ = door.socket.accept()
            except (BlockingIOError, ConnectionError, InterruptedError):
                return
            except OSError as e:
                self._rest(door, e)
                return
            fd = accepted.fileno()
            self._admit(door, accepted)
            if _is_spent(fd):
                return  # connections that give way are closed when this turn is over

    def _rest(self, door: Door, e: OSError) -> None:
        """Close connections that have waited the longest, and pause: accepting again at once would only spin."""
        if e.errno not in SPENT:
            events.log("accept", level="error", message=str(e.strerror))
        for _ in range(TURN):
            self._make_room(self._waiting)
        self._loop.remove_reader(door.socket)
        self._loop.call_later(REST, self._reopen, door)

    def _reopen(self, door: Door) -> None:
        if not self.closing:
            self._loop.add_reader(door.socket, self._accept, door)

    def _admit(self, door: Door, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            key, tenant = door.peer(accepted)
            self._require_room(key, accepted.fileno())
        except (HostError, OSError) as e:
            self._turn_away(door, accepted, e if isinstance(e, HostError) else CROWDED)
            return
        connection = Connection(self, door, accepted, key, tenant)
        self._connections[connection] = self._waiting[connection] = None
        self._peers.setdefault(key, {})[connection] = None
        connection.entering = self._track(self._enter(door, accepted, connection))

    def _require_room(self, key: str, fd: int) -> None:
        """Make room for one more connection of this peer. HostError `crowded` if that is impossible."""
        peers = self._peers.get(key, {})
        if len(peers) >= self.limits.peer and not self._make_room(peers):
            raise CROWDED
        full = len(self._connections) >= self.limits.connections
        if (_is_spent(fd) or full) and not self._make_room(self._waiting) and not self._make_room(self._connections):
            raise CROWDED

    def _make_room(self, among: dict[Connection, None]) -> bool:
        """Close the first connection that gives way, which has waited the longest; False if none does."""
        oldest = next((connection for connection in among if connection.gives_way), None)
        if oldest is None:
            return False
        oldest.abort()
        self.leave(oldest)
        return True

    def _turn_away(self, door: Door, accepted: socket.socket, e: HostError) -> None:
        """Send the reason if that does not block. Then read what has arrived: closing with unread bytes discards the reason."""
        self.refused(e)
        with accepted, contextlib.suppress(OSError):
            if door.context is None:
                accepted.send(refusal(e))
                accepted.shutdown(socket.SHUT_WR)
                accepted.recv(self.limits.head)

    async def _enter(self, door: Door, accepted: socket.socket, connection: Connection) -> None:
        timeout = None if door.context is None else self.limits.head_seconds
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, accepted, ssl=door.context, ssl_handshake_timeout=timeout
            )
        except OSError as e:  # the handshake failed or took too long
            events.log("handshake", message=type(e).__name__)
        finally:
            connection.entering = None
            if connection.transport is None:
                accepted.close()
                self.leave(connection)

    # While they last

    def begin(self, connection: Connection, exchange: Exchange) -> None:
        """Pass a request whose head has arrived to the application."""
        self._waiting.pop(connection, None)
        self._track(exchange.run(self._application))

    def wait(self, connection: Connection) -> None:
        """Note that this connection is idle now."""
        if connection in self._connections:
            self._waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._connections.pop(connection, None)
        self._waiting.pop(connection, None)
        peers = self._peers.get(connection.key, {})
        peers.pop(connection, None)
        if not peers:
            self._peers.pop(connection.key, None)

    def unread(self, grown: int) -> None:
        """Count more bytes of incomplete requests; beyond the bound, close the connections that have waited the longest."""
        self._unread += grown
        while self._unread > self.limits.heads and grown > 0:
            next(c for c in chain(self._waiting, self._connections) if c.rest).abort()

    def unsent(self, grown: int) -> None:
        """Add to the bytes that clients have not read; `grown` may be negative. Beyond the bound, large answers wait in `room`."""
        self._unsent += grown
        if self._unsent <= self.limits.unsent:
            self._room.set()
        else:
            self._room.clear()

    async def room(self) -> None:
        """Wait until clients have read enough, or those that read nothing have been closed."""
        await self._room.wait()

    def _close_stalled(self, now: float) -> None:
        """Close connections whose clients read nothing, the longest stalled first, until `room` is free."""
        stalled = [c for c in self._connections if c.stalled is not None and now - c.stalled >= SWEEP]
        for connection in sorted(stalled, key=lambda c: c.stalled or now):
            if self._room.is_set():
                return
            connection.abort()

    def _track(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        e = None if task.cancelled() else task.exception()
        if e is not None:
            events.log_bug("entrance", e)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            now = self.now()
            for connection in list(self._connections):
                connection.sweep(now)
            self._close_stalled(now)

    # The end

    async def close(self, grace: float) -> None:
        """Accept no more, give requests under way `grace` seconds to end, then abort them."""
        self.closing = True
        for door in self._doors:
            self._loop.remove_reader(door.socket)
            door.socket.close()
        for connection in list(self._waiting):
            connection.end()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(self._sweeper_end(), *self._tasks, return_exceptions=True)

    async def _sweeper_end(self) -> None:
        self._sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeper


def _is_spent(fd: int) -> bool:
    """Whether this descriptor, which has the lowest free number, belongs to the reserve."""
    return fd >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVE
