"""One client's connection: reads one request at a time, has the application answer it, and never waits forever.

Everything here is bounded by `Limits`; `entrance` bounds all connections together.
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING, cast

from enarx.host.errors import HostError
from enarx.host.http.doors import Door
from enarx.host.http.exchange import Exchange, refusal
from enarx.host.http.requests import END, check_beginning, read_head

if TYPE_CHECKING:
    from enarx.host.http.entrance import Entrance

MAX_HELD = 64 << 10
"""Bytes of a body that may wait for the application before reading pauses."""


class Connection(asyncio.Protocol):
    """An accepted connection. It is counted with others of the same `key`; a `tenant` may become known only after TLS."""

    def __init__(self, entrance: Entrance, door: Door, accepted: socket.socket, key: str, tenant: str) -> None:
        self.entrance, self.door, self.key, self.tenant = entrance, door, key, tenant
        self._accepted = accepted
        self.transport: asyncio.Transport | None = None
        self.exchange: Exchange | None = None
        self.entering: asyncio.Task[None] | None = None
        self.rest = bytearray()
        self.gone = asyncio.Event()
        self.stalled: float | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = True
        self._lingers = False
        self._idle = False
        self._counted = self._checked = self._unsent = 0
        self._since = entrance.now()

    # Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the connection is established, after its TLS handshake if any."""
        self.transport = cast(asyncio.Transport, transport)  # the loop's own do not derive from it
        if self.gone.is_set():
            self.transport.abort()  # it was closed for another client during its handshake
        self.tenant = self.tenant or self.door.tenant(self.transport)
        self._since = self.entrance.now()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        exchange = self.exchange
        if self._lingers or (exchange is not None and exchange.failed):
            return
        if exchange is not None and not self.rest and exchange.takes(data):
            self._pace()
            return
        self.rest += data
        self._count()
        self._advance()

    def eof_received(self) -> None:
        """Treat the end of the client's data as a disconnect."""

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than we write."""
        self._writable.clear()
        self.stalled = self.entrance.now()

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        self._writable.set()
        self.stalled = None
        self.wrote()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed, by either side."""
        self.gone.set()
        self._drop()
        self._count_unsent(0)
        self._writable.set()
        if self.exchange is not None:
            self.exchange.wake()
        self.entrance.leave(self)

    # Reading

    def _count(self) -> None:
        """Add the change in unread bytes to the total of all connections."""
        grown, self._counted = len(self.rest) - self._counted, len(self.rest)
        self.entrance.unread(grown)

    def _drop(self) -> None:
        """Discard the bytes that are still unread."""
        self.rest.clear()
        self._count()

    def _advance(self) -> None:
        """Read a head and its body, as far as they have arrived. Later requests wait for the answer."""
        try:
            while self.rest and not self._lingers:
                if self.exchange is None:
                    if not self._begin():
                        break
                elif self.exchange.received or not self.exchange.read(self.rest):
                    break
        except HostError as e:
            self._fail(e)
        self._count()
        self._pace()

    def _begin(self) -> bool:
        """Pass a request to the application once its head is complete; False until then. HostError."""
        limits = self.entrance.limits
        if self._idle:
            self._idle, self._since = False, self.entrance.now()
        end = self.rest.find(END, 0, limits.head)
        if end < 0:
            check_beginning(self.rest, limits, self._checked)
            self._checked = len(self.rest)
            return False
        self._checked = 0
        head = read_head(bytes(self.rest[: end + len(END)]), limits)
        del self.rest[: end + len(END)]
        self.exchange = Exchange(self, head)
        self.entrance.begin(self, self.exchange)
        return True

    def _fail(self, e: HostError) -> None:
        """Report malformed bytes to the client, if it waits for an answer."""
        self.entrance.refused(e)
        if self.exchange is not None:
            self.exchange.fail(e)
            self._drop()
        elif self.transport is not None:
            self.transport.write(refusal(e))
            self.wrote()
            self.end()

    def _pace(self) -> None:
        """Pause reading from the client, or resume it."""
        if self.transport is None or self.transport.is_closing():
            return
        exchange = self.exchange
        wanted = exchange is None or (
            len(self.rest) <= self.entrance.limits.ahead if exchange.received else exchange.held <= MAX_HELD
        )
        if wanted and not self._reading:
            self.transport.resume_reading()
        elif self._reading and not wanted:
            self.transport.pause_reading()
            self._since = self.entrance.now()
        self._reading = wanted

    # Answering

    def taken(self) -> None:
        """Note that the application has taken the part of the body that had arrived."""
        self._pace()

    def wrote(self) -> None:
        """Add the change in bytes that the client has not read to the total of all connections."""
        if self.transport is not None and not self.transport.is_closing():
            self._count_unsent(self.transport.get_write_buffer_size())

    def _count_unsent(self, size: int) -> None:
        grown, self._unsent = size - self._unsent, size
        self.entrance.unsent(grown)

    async def writable(self) -> None:
        """Wait until the client has read enough of what was written."""
        await self._writable.wait()

    def answered(self, *, keeps: bool) -> None:
        """Note that the answer is written; `keeps` if the connection may serve another request."""
        self.exchange = None
        self._since, self._idle = self.entrance.now(), True
        if not keeps or self.entrance.closing:
            self.end()
            return
        self.entrance.wait(self)
        self._advance()

    # Ending

    def end(self) -> None:
        """Stop reading and writing, but leave the client time to read the answer."""
        if self.transport is None or self.transport.is_closing() or self._lingers:
            return
        self._drop()
        self._lingers, self._since = True, self.entrance.now()
        self.entrance.wait(self)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._pace()

    def abort(self) -> None:
        """Close at once, and discard unsent bytes."""
        self._drop()
        self._count_unsent(0)
        if self.transport is not None:
            self.transport.abort()
        elif self.entering is not None:
            self.gone.set()
            self.entering.cancel()
            self._accepted.close()  # a task that has not begun runs nothing, not even its finally

    def sweep(self, now: float) -> None:
        """Check the deadlines, once a second, and close a connection that has exceeded one."""
        limits, waited = self.entrance.limits, now - self._since
        if self._lingers:
            if waited > limits.linger_seconds:
                self.abort()
        elif self.exchange is not None:
            self._sweep_exchange(self.exchange, now)
        elif self._idle:
            if waited > limits.idle_seconds:
                self.abort()
        elif waited > limits.head_seconds:
            if self.rest:
                self._fail(HostError("slow", f"wanted a whole head within {limits.head_seconds:g} seconds"))
            else:
                self.abort()

    def _sweep_exchange(self, exchange: Exchange, now: float) -> None:
        limits = self.entrance.limits
        if not self._reading and self._hung_up():
            self.abort()  # nothing else would notice while reading is paused
            return
        stalls = self.stalled is not None and not exchange.endless and now - self.stalled > limits.stall_seconds
        waits = exchange.received and not self._reading and now - self._since > limits.head_seconds
        if stalls or waits:
            self.abort()

    def _hung_up(self) -> bool:
        assert self.transport is not None
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    @property
    def gives_way(self) -> bool:
        """Whether it may be closed for a new client: it is idle, or its client stopped reading long ago."""
        if self.exchange is None:
            return True
        return self.stalled is not None and self.entrance.now() - self.stalled > self.entrance.limits.stall_seconds
