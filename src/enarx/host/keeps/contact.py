"""The daemon's side of a supervisor's socket: one request per connection, then bytes. Nothing here blocks the loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Any

from enarx.host.errors import HostError
from enarx.host.faults import refusal
from enarx.host.supervisor.clients import widen

MAX_LINE = 64 << 10
PIECE = 256 << 10
PATIENCE = 20.0
"""Seconds for a supervisor to answer a request that needs no waiting."""


class Contact:
    """A connection to the supervisor whose socket is at `path`. HostError if no descriptors are left."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as e:
            raise HostError.of(refusal(e)) from e
        self._rest = b""

    async def ask(self, op: str, *, patience: float | None = PATIENCE, **more: object) -> dict[str, Any]:
        """Send one request; returns the answer. HostError `gone` if no supervisor listens, `silent` if it answers too late."""
        try:
            self._connect()
        except OSError:
            raise HostError("gone", "the Keep's supervisor is gone") from None
        widen(self._socket)
        with contextlib.suppress(OSError):  # a full supervisor refuses without reading the request
            await self.send(json.dumps({"op": op, **more}).encode() + b"\n")
        return await self.answer(patience=patience)

    def _connect(self) -> None:
        try:
            self._socket.connect(self._path)
        except BlockingIOError:
            raise HostError("silent", "the Keep's supervisor accepts no connection", hint="try again later") from None

    async def answer(self, *, patience: float | None = None) -> dict[str, Any]:
        """The next line from the supervisor. HostError: its refusal, or `gone`, or `silent`."""
        try:
            value = json.loads(await asyncio.wait_for(self._line(), patience))
        except TimeoutError:
            raise HostError("silent", "the Keep's supervisor does not answer", hint="try again later") from None
        except (OSError, ValueError):
            raise HostError("gone", "the Keep's supervisor is gone") from None
        if not value.pop("ok"):
            raise HostError.of(value)
        return dict(value)

    async def _line(self) -> bytes:
        while b"\n" not in self._rest:
            piece = await asyncio.get_running_loop().sock_recv(self._socket, PIECE)
            if not piece or len(self._rest) > MAX_LINE:
                raise ConnectionResetError
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    async def send(self, data: bytes) -> None:
        """Send all of `data`. OSError if the supervisor has closed its end."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            await asyncio.get_running_loop().sock_sendall(self._socket, memoryview(data)[sent:])

    def finish(self) -> None:
        """Signal the end of the input to the supervisor."""
        self._socket.shutdown(socket.SHUT_WR)

    async def receive(self) -> bytes:
        """The next bytes; empty at the end."""
        if self._rest:
            piece, self._rest = self._rest, b""
            return piece
        try:
            return self._socket.recv(PIECE)
        except BlockingIOError:
            return await asyncio.get_running_loop().sock_recv(self._socket, PIECE)

    def close(self) -> None:
        """Close the connection to the supervisor."""
        self._socket.close()
