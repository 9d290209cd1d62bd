"""Connections to a host daemon over TCP, TLS or a Unix socket, with bounds on what an answer may cost.

A token belongs to the endpoint that it was given for. It is sent over TLS, a Unix socket or the loopback interface, and
never in clear over a network.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import os
import selectors
import socket
import ssl
import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

from enarx.errors import UsageError
from enarx.record import record

TIMEOUT = 30.0
"""Seconds without a byte after which a host counts as not answering."""

MAX_TIME = 120.0
"""Seconds that an answer may take in all, except the output of a Keep."""

MAX_ANSWER = 4 << 20
"""Bytes of a JSON answer at most."""

MAX_HEAD = 256 << 10
"""Bytes of an answer's head and of the framing of its body, at most."""

ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""TCP keep-alive: seconds of silence before the first probe, seconds between probes, and how many."""

FORMS = "http://HOST:PORT, https://HOST:PORT or unix:///PATH"


@record(hidden=("token", "invitation"))
class Endpoint:
    """The address of a daemon and the tenant's credential: a URL (FORMS), a bearer token or a client certificate.

    `ca`, `certificate` and `key` are the paths of PEM files. `invitation` is the secret of an invitation to one Keep, the
    credential of people who have no account at the host; `authorities` are certificate authorities, PEM, in place of a file.
    """

    url: str
    token: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    invitation: str = ""
    authorities: str = ""


class Place:
    """A checked endpoint. UsageError for an invalid URL, or a token that would cross a network in clear."""

    def __init__(self, endpoint: Endpoint) -> None:
        parts, port = _split(endpoint.url)
        self._path = parts.path if parts.scheme == "unix" else ""
        self._host = parts.hostname or ""
        self._port = port or (443 if parts.scheme == "https" else 80)
        _require_tls(endpoint, parts.scheme)
        self._tls = _context(endpoint) if parts.scheme == "https" else None
        if (endpoint.token or endpoint.invitation) and parts.scheme == "http" and not _is_loopback(self._host):
            secret = "a token" if endpoint.token else "the secret of an invitation"
            raise UsageError(
                "token-clear",
                f"{endpoint.url}: {secret} would go over the network in clear; nothing was sent",
                hint="use https://, or a tunnel to a port or a socket of this machine",
            )

    def connection(self, timeout: float) -> Connection:
        """A connection that is not open yet."""
        if self._path:
            return _UnixConnection(self._path, timeout)
        if self._tls is not None:
            return _TlsConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return Connection(self._host, self._port, timeout=timeout)


def require_url(url: str, source: str) -> None:
    """UsageError for an invalid URL, which names the `source` that it came from."""
    try:
        _split(url)
    except UsageError as e:
        raise UsageError(e.code, f"{source}: {e.message}", hint=e.hint) from None


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad_url(url) from None
    bare = not (parts.query or parts.fragment or parts.username or parts.password) and url.isprintable()
    network = parts.scheme in ("http", "https") and parts.hostname and not parts.path.strip("/")
    local = parts.scheme == "unix" and not parts.netloc and len(parts.path.rstrip("/")) > 1
    if not bare or " " in url or port == 0 or not (network or local):
        raise _bad_url(url)
    return parts, port


def _bad_url(url: str) -> UsageError:
    hint = "" if "://" in url else f"did you mean {f'unix://{url}' if url.startswith('/') else f'http://{url}'}?"
    return UsageError("host-url", f"{url!r} is not the URL of a host, wanted {FORMS}", hint=hint)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_tls(endpoint: Endpoint, scheme: str) -> None:
    """UsageError for files of TLS that would be ignored."""
    given = {"CA": endpoint.ca, "client certificate": endpoint.certificate, "client key": endpoint.key}
    for what, path in given.items():
        if path and scheme != "https":
            hint = "use https://, or leave it out" if scheme == "http" else "a Unix socket needs none: leave it out"
            raise UsageError(
                "host-tls", f"{endpoint.url}: a {what} is given ({path}) for a host without TLS", hint=hint
            )
    if endpoint.key and not endpoint.certificate:
        raise UsageError("host-tls", f"{endpoint.key}: a client key without its certificate", hint="--client-cert FILE")


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    path = endpoint.ca
    try:
        context = ssl.create_default_context(cafile=path or None, cadata=endpoint.authorities or None)
        if endpoint.certificate:
            path = endpoint.certificate
            context.load_cert_chain(path, endpoint.key or None)
    except OSError as e:  # ssl.SSLError is one
        raise UsageError("host-tls", _tls_problem(path, endpoint.key, e), hint="wanted certificates in PEM") from e
    return context


def _tls_problem(path: str, key: str, e: OSError) -> str:
    """Which file cannot be used, and why. OpenSSL names neither."""
    if not path:
        return "the certificate authorities of the invitation are not PEM"
    for file in (path, key or path):
        try:
            os.close(os.open(file, os.O_RDONLY))
        except OSError as unreadable:
            return f"{file}: {unreadable.strerror}"
    if getattr(e, "reason", "") == "KEY_VALUES_MISMATCH":
        return f"{key}: not the key of the certificate {path}"
    return f"{path}: {getattr(e, 'reason', None) or e.strerror or e}"


class _Source(io.RawIOBase):
    """A socket, read up to `room` bytes and until `end`; OSError or ValueError beyond."""

    def __init__(self, connected: socket.socket) -> None:
        self.connected = connected
        self._raw: Any = connected.makefile("rb", buffering=0)
        self.room = MAX_HEAD + MAX_ANSWER
        self.end = time.monotonic() + MAX_TIME

    def readable(self) -> bool:
        """True: the source is for reading only."""
        return True

    def readinto(self, out: Any) -> int | None:
        """Like RawIOBase, within the bounds. TimeoutError, ValueError."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        if self.room <= 0:
            raise ValueError("the answer is too long")
        self.connected.settimeout(None if left == float("inf") else min(TIMEOUT, left))
        count: int | None = self._raw.readinto(memoryview(out)[: self.room])
        self.room -= count or 0
        return count

    def close(self) -> None:
        """Like RawIOBase; the socket stays open."""
        self._raw.close()
        super().close()


class Answer(http.client.HTTPResponse):
    """An HTTP response that is read through a `_Source`."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp.close()
        self._source = _Source(sock)
        self.fp = io.BufferedReader(self._source)

    def hang_up(self) -> None:
        """Shut its connection down: a thread that reads from it sees the end."""
        with contextlib.suppress(OSError):
            self._source.connected.shutdown(socket.SHUT_RDWR)

    def frames(self, *, follow: bool) -> Frames:
        """The body as a stream of frames, unbounded in bytes and, with `follow`, in time."""
        return Frames(self, self._source, follow=follow)


class Frames:
    """A body as a stream. Each read is bounded by itself: in bytes and, unless the body is followed, in time."""

    def __init__(self, answer: Answer, source: _Source, *, follow: bool) -> None:
        self._answer, self._source, self._follow = answer, source, follow

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        self._source.room = MAX_HEAD + 8 * size  # the body may be split into many small pieces
        self._source.end = float("inf") if self._follow else time.monotonic() + MAX_TIME
        return self._answer.read(size)


class Connection(http.client.HTTPConnection):
    """A connection over TCP. `used` is the monotonic time at which its last request was answered."""

    response_class = Answer
    used = float("-inf")

    def is_readable(self) -> bool:
        """Whether bytes or an end wait to be read. The daemon only answers, so between requests this means closed."""
        if self.sock is None:
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(self.sock, selectors.EVENT_READ)
            return bool(selector.select(0))

    def connect(self) -> None:
        """Like HTTPConnection, with keep-alive: TCP notices a peer that vanished."""
        super().connect()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in ALIVE.items():
            if hasattr(socket, name):
                self.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class _TlsConnection(Connection, http.client.HTTPSConnection):
    """A connection over TLS, with the endpoint's context."""


class _UnixConnection(Connection):
    """A connection over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Like HTTPConnection, over the socket's path. UsageError where the system has none."""
        if not hasattr(socket, "AF_UNIX"):
            raise UsageError("host-url", "this system has no Unix sockets", hint="use http:// or https://")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(os.fspath(self._path))
        except OSError:
            self.close()
            raise
