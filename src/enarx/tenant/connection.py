"""Connections to a host daemon: over TCP, TLS or a Unix socket, with bounds on what an answer may cost.

A token belongs to the endpoint that it was given for. It goes over TLS, a Unix socket or the loopback, and nowhere else in clear.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import os
import socket
import ssl
import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

from enarx.errors import UsageError
from enarx.record import record

TIMEOUT = 30.0
"""Seconds without a byte after which a host does not answer."""

MAX_TIME = 120.0
"""Seconds that an answer may take in all, the output of a Keep excepted."""

MAX_ANSWER = 4 << 20
"""Bytes of a JSON answer."""

MAX_HEAD = 256 << 10
"""Bytes of an answer's head, and of what frames its body."""

ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds of silence after which TCP asks whether the host is still there, seconds between its questions, and how many."""

FORMS = "http://HOST:PORT, https://HOST:PORT or unix:///PATH"


@record(hidden=("token",))
class Endpoint:
    """Where a daemon is and how it knows us: a URL (FORMS), a bearer token, or a client certificate (PEM files)."""

    url: str
    token: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""


class Place:
    """An endpoint that has been looked at: UsageError for a URL that is none, or a token that would go over a network in clear."""

    def __init__(self, endpoint: Endpoint) -> None:
        parts, port = _split(endpoint.url)
        self._path = parts.path if parts.scheme == "unix" else ""
        self._host = parts.hostname or ""
        self._port = port or (443 if parts.scheme == "https" else 80)
        self._tls = _context(endpoint) if parts.scheme == "https" else None
        if endpoint.token and parts.scheme == "http" and not _is_loopback(self._host):
            raise UsageError(
                "token-clear",
                f"{endpoint.url}: a token would go over the network in clear; nothing was sent",
                hint="use https://, or a tunnel to a port or a socket of this machine",
            )

    def connection(self, timeout: float) -> Connection:
        """A connection, not yet made."""
        if self._path:
            return _UnixConnection(self._path, timeout)
        if self._tls is not None:
            return _TlsConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return Connection(self._host, self._port, timeout=timeout)


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("host-url", f"{url}: wanted {FORMS}") from None
    bare = not (parts.query or parts.fragment or parts.username or parts.password) and url.isprintable()
    network = parts.scheme in ("http", "https") and parts.hostname and not parts.path.strip("/")
    local = parts.scheme == "unix" and not parts.netloc and len(parts.path.rstrip("/")) > 1
    if not bare or " " in url or port == 0 or not (network or local):
        raise UsageError("host-url", f"{url}: wanted {FORMS}")
    return parts, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=endpoint.ca or None)
        if endpoint.certificate:
            context.load_cert_chain(endpoint.certificate, endpoint.key or None)
    except (OSError, ssl.SSLError) as e:
        raise UsageError("host-tls", f"TLS files for the host: {e}") from e
    return context


class _Source(io.RawIOBase):
    """What comes from a socket, up to so many bytes and so late; OSError beyond."""

    def __init__(self, connected: socket.socket) -> None:
        self.connected = connected
        self._raw: Any = connected.makefile("rb", buffering=0)
        self.room = MAX_HEAD + MAX_ANSWER
        self.end = time.monotonic() + MAX_TIME

    def readable(self) -> bool:
        """As RawIOBase."""
        return True

    def readinto(self, out: Any) -> int | None:
        """As RawIOBase."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        if self.room <= 0:
            raise ValueError("an answer without end")
        self.connected.settimeout(None if left == float("inf") else min(TIMEOUT, left))
        count: int | None = self._raw.readinto(memoryview(out)[: self.room])
        self.room -= count or 0
        return count

    def close(self) -> None:
        """As RawIOBase."""
        self._raw.close()
        super().close()


class Answer(http.client.HTTPResponse):
    """An answer that is read from a `_Source`."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp.close()
        self._source = _Source(sock)
        self.fp = io.BufferedReader(self._source)

    def hang_up(self) -> None:
        """End its connection at once: a thread that reads from it sees an end."""
        with contextlib.suppress(OSError):
            self._source.connected.shutdown(socket.SHUT_RDWR)

    def frames(self, *, follow: bool) -> Frames:
        """The body as a stream of frames: without an end in bytes, and with `follow` without one in time."""
        return Frames(self, self._source, follow=follow)


class Frames:
    """A body as a stream: each read is bounded by itself, in bytes and, unless it is followed, in time."""

    def __init__(self, answer: Answer, source: _Source, *, follow: bool) -> None:
        self._answer, self._source, self._follow = answer, source, follow

    def read(self, size: int, /) -> bytes:
        """The next bytes; fewer at the end alone."""
        self._source.room = MAX_HEAD + 8 * size  # a body may come in many small pieces
        self._source.end = float("inf") if self._follow else time.monotonic() + MAX_TIME
        return self._answer.read(size)


class Connection(http.client.HTTPConnection):
    """One connection over TCP; `used` is when the last request on it was answered."""

    response_class = Answer
    used = float("-inf")

    def connect(self) -> None:
        """As HTTPConnection; TCP finds out where the other side has gone without a word."""
        super().connect()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in ALIVE.items():
            if hasattr(socket, name):
                self.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class _TlsConnection(Connection, http.client.HTTPSConnection):
    """One over TLS."""


class _UnixConnection(Connection):
    """One over a socket of this machine."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """As HTTPConnection."""
        if not hasattr(socket, "AF_UNIX"):
            raise UsageError("host-url", "this system has no Unix sockets", hint="use http:// or https://")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(os.fspath(self._path))
        except OSError:
            self.close()
            raise
