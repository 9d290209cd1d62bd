"""One request and its answer, between a connection and the application (ASGI 3, HTTP)."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from enarx.host import events
from enarx.host.errors import HostError
from enarx.host.http import schemas
from enarx.host.http.requests import Chunked, Counted, Head

if TYPE_CHECKING:
    from enarx.host.http.connection import Connection

BODILESS = (204, 304)
SMALL = 16 << 10
"""Bytes that are sent even while other clients hold too much unread: errors, and answers to management."""


def refusal(e: HostError) -> bytes:
    """The bytes of a whole answer with this error, after which the connection closes."""
    body = schemas.encode(schemas.error(e))
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **e.headers}
    return _beginning(e.status, [(k.encode(), v.encode()) for k, v in headers.items()]) + body


def _beginning(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [
        b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
        b"date: " + formatdate(usegmt=True).encode(),
    ]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Exchange:
    """A request and its answer. `held` bytes of its body wait to be taken; an `endless` answer has no stated length."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._head = head
        self._body = Chunked(connection.entrance.limits) if head.length < 0 else Counted(head.length)
        self._pieces: list[bytes] = []
        self._event = asyncio.Event()
        self._failure: HostError | None = None
        self._waits = head.waits
        self._given = self._started = self._over = False
        self._keeps = head.keeps
        self.held = 0
        self.endless = False

    @property
    def received(self) -> bool:
        """Has the whole request arrived?"""
        return self._body.complete

    @property
    def failed(self) -> bool:
        """Did its body turn out malformed?"""
        return self._failure is not None

    @property
    def scope(self) -> dict[str, Any]:
        """The ASGI scope. Its `state` has the tenant, if the connection proves one, the `door`, and the event `gone`."""
        head, connection = self._head, self._connection
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": head.method,
            "scheme": "https" if connection.door.context is not None else "http",
            "path": unquote(head.path.decode()),
            "raw_path": head.path,
            "root_path": "",
            "query_string": head.query,
            "headers": head.headers,
            "server": None,
            "client": None,
            "state": {"tenant": connection.tenant, "door": connection.door, "gone": connection.gone},
        }

    async def run(self, application: ASGIApp) -> None:
        """Have the application answer it. If the answer stays incomplete, the connection is closed."""
        try:
            await application(self.scope, self.receive, self.send)
        except Exception as e:  # noqa: BLE001  # the edge: one request fails, and the daemon goes on
            events.log_bug("exchange", e)
        finally:
            if not self._over:
                self._connection.abort()

    # From the client

    def takes(self, data: bytes) -> bool:
        """Take `data` without copying it if all of it belongs to a body of known length; False if not."""
        body = self._body
        if not isinstance(body, Counted) or len(data) > body.left:
            return False
        body.left -= len(data)
        self._add(data)
        return True

    def read(self, rest: bytearray) -> bool:
        """Take the body's part from the front of `rest`; False if there was none. HostError."""
        before = len(rest)
        piece = self._body.read(rest)
        self._add(piece)
        return len(rest) < before

    def _add(self, piece: bytes) -> None:
        if piece and not self._over:
            self._pieces.append(piece)
            self.held += len(piece)
        self._event.set()

    def fail(self, e: HostError) -> None:
        """Report a malformed body to the application when it reads on."""
        self._failure, self._keeps = e, False
        self._event.set()

    def wake(self) -> None:
        """Wake the application: the connection is closed."""
        self._event.set()

    async def receive(self) -> Message:
        """ASGI receive: the next part of the body. HostError if the body is malformed."""
        if (
            self._waits
            and not self._started
            and not self._connection.gone.is_set()
            and self._connection.transport is not None
        ):
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._waits = False
        while True:
            if self._connection.gone.is_set() or self._over:
                return {"type": "http.disconnect"}
            if self._failure is not None:
                raise self._failure
            if self._pieces or (self.received and not self._given):
                return self._take()
            self._event.clear()
            await self._event.wait()

    def _take(self) -> Message:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.held = 0
        self._given = self.received
        self._connection.taken()
        return {"type": "http.request", "body": body, "more_body": not self._given}

    # To the client

    async def send(self, message: Message) -> None:
        """ASGI send: part of the answer. Waits for a client that reads slowly; does nothing once it is gone."""
        await self._connection.writable()
        if len(message.get("body", b"")) > SMALL:
            await self._connection.entrance.room()
        transport = self._connection.transport
        if self._over or self._connection.gone.is_set() or transport is None or transport.is_closing():
            return
        if message["type"] == "http.response.start":
            transport.write(self._start(message["status"], list(message["headers"])))
            if self._head.method == "HEAD":
                self._end()
        else:
            self._write(transport, message.get("body", b""), more=message.get("more_body", False))
        self._connection.wrote()

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        self._started = True
        self._keeps = self._keeps and self.received and not self._connection.entrance.closing
        self.endless = status not in BODILESS and not any(name == b"content-length" for name, _ in headers)
        if self.endless:
            headers.append((b"transfer-encoding", b"chunked"))
        if not self._keeps:
            headers.append((b"connection", b"close"))
        return _beginning(status, headers)

    def _write(self, transport: asyncio.Transport, body: bytes, *, more: bool) -> None:
        if self.endless and body:
            transport.writelines([b"%x\r\n" % len(body), body, b"\r\n"])
        elif body:
            transport.write(body)
        if not more:
            if self.endless:
                transport.write(b"0\r\n\r\n")
            self._end()

    def _end(self) -> None:
        self._over = True
        self._pieces.clear()
        self.held = 0
        self._event.set()
        self._connection.answered(keeps=self._keeps)
