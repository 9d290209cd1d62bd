"""One client's connection: reads one request at a time, has the application answer it, and waits for nobody for ever.

Everything here is bounded by `Limits`, and by who else wants to come in: see `entrance`.
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
"""Bytes of a body that wait to be taken before the client is held back."""


class Connection(asyncio.Protocol):
    """Made when a client has been accepted. `key` counts it with others of the same peer, `tenant` may become known late."""

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
        self._counted = self._checked = 0
        self._since = entrance.now()

    # What the loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Its handshake, if any, is over."""
        self.transport = cast(asyncio.Transport, transport)  # the loop's own do not derive from it
        if self.gone.is_set():
            self.transport.abort()  # it had to give way before it had come in
        self.tenant = self.tenant or self.door.tenant(self.transport)
        self._since = self.entrance.now()

    def data_received(self, data: bytes) -> None:
        """Some bytes of the client's."""
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
        """The client says no more, which is taken for going."""

    def pause_writing(self) -> None:
        """The client reads more slowly than is written."""
        self._writable.clear()
        self.stalled = self.entrance.now()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()
        self.stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone, or has been sent away."""
        self.gone.set()
        self._drop()
        self._writable.set()
        if self.exchange is not None:
            self.exchange.wake()
        self.entrance.leave(self)

    # Reading

    def _count(self) -> None:
        """What is unread counts with what others have left unread."""
        grown, self._counted = len(self.rest) - self._counted, len(self.rest)
        self.entrance.unread(grown)

    def _drop(self) -> None:
        """What is unread stays so."""
        self.rest.clear()
        self._count()

    def _advance(self) -> None:
        """As far as can be: a head, then its body. What follows these waits for the answer."""
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
        """Is there a whole head? Its request goes to the application."""
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
        """What came is no request: said to the client where it waits for an answer."""
        self.entrance.refused(e)
        if self.exchange is not None:
            self.exchange.fail(e)
            self._drop()
        elif self.transport is not None:
            self.transport.write(refusal(e))
            self.end()

    def _pace(self) -> None:
        """Hold the client back, or let it go on."""
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
        """The application has taken what was there of the body."""
        self._pace()

    async def writable(self) -> None:
        """Wait until the client has read enough."""
        await self._writable.wait()

    def answered(self, *, keeps: bool) -> None:
        """The answer to the one request is written whole."""
        self.exchange = None
        self._since, self._idle = self.entrance.now(), True
        if not keeps or self.entrance.closing:
            self.end()
            return
        self.entrance.wait(self)
        self._advance()

    # Ending

    def end(self) -> None:
        """Nothing more is read or said, but the client gets the time to read what has been."""
        if self.transport is None or self.transport.is_closing() or self._lingers:
            return
        self._drop()
        self._lingers, self._since = True, self.entrance.now()
        self.entrance.wait(self)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._pace()

    def abort(self) -> None:
        """At once."""
        self._drop()
        if self.transport is not None:
            self.transport.abort()
        elif self.entering is not None:
            self.gone.set()
            self.entering.cancel()
            self._accepted.close()  # of a task that has not begun nothing runs, not even its end

    def sweep(self, now: float) -> None:
        """Once a second: give up a client that has had its time."""
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
            self.abort()  # nobody else notices while nothing is read
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
        """May it be closed when another client wants in: nothing goes on, or the client has long read nothing?"""
        if self.exchange is None:
            return True
        return self.stalled is not None and self.entrance.now() - self.stalled > self.entrance.limits.stall_seconds
