"""A client of the host daemon's HTTP API (docs/spec/host.md): for management, and as the `Link` to one Keep."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from enarx.errors import EnarxError, UsageError
from enarx.record import record
from enarx.tenant.link import Frame, Stream, host_error, lost, read_entries

FRAMES = "application/vnd.enarx.frames"
TIMEOUT = 30.0
MAX_ANSWER = 16 << 20


@record(hidden=("token",))
class Endpoint:
    """Where a daemon is and how it knows us: an http(s) URL, a bearer token, or a client certificate (PEM files)."""

    url: str
    token: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the Unix socket at `path`."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """As HTTPConnection."""
        family = getattr(socket, "AF_UNIX", None)
        if family is None:
            raise UsageError("host-url", "this system has no Unix sockets", hint="--host https://HOST:PORT")
        self.sock = socket.socket(family)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class HostClient:
    """One daemon. Each thread gets a connection of its own; connections are kept open and made again when they break."""

    def __init__(self, endpoint: Endpoint) -> None:
        parts = urlsplit(endpoint.url)
        self._local = threading.local()
        self.endpoint = endpoint
        self._socket = parts.path if parts.scheme == "unix" and not parts.netloc else ""
        self._tls = None
        if self._socket:
            return
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise UsageError("host-url", f"{endpoint.url}: wanted unix:///PATH, http://HOST:PORT or https://HOST:PORT")
        self._secure = parts.scheme == "https"
        self._address = (parts.hostname, parts.port or (443 if self._secure else 80))
        self._tls = self._context() if self._secure else None

    def launch(self, *, kind: str, package: bytes | None, memory: int, disk: int) -> str:
        """A new Keep's id; from the daemon's pool where `package` is None and the sizes (bytes) fit."""
        body = {"kind": kind, "package_digest": package.hex() if package else None, "memory": memory, "disk": disk}
        answer = self.call("POST", "/v1/keeps", body)
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
            raise lost("the host answered a launch without an id")
        return str(answer["id"])

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One JSON request; the decoded answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data is not None else {}
        answer = self._request(self._connection(), method, path, data, headers)
        try:
            text = answer.read(MAX_ANSWER)
            return json.loads(text) if text else None
        except (OSError, ValueError, http.client.HTTPException) as e:
            raise lost(f"{method} {path}: the host's answer is no JSON") from e

    def keeps(self) -> list[dict[str, Any]]:
        """All of our Keeps there, page by page."""
        found: list[dict[str, Any]] = []
        path = "/v1/keeps"
        while True:
            page = self.call("GET", path)
            if not isinstance(page, dict) or not isinstance(page.get("keeps"), list):
                raise lost("the host answered with no list of Keeps")
            found += page["keeps"]
            if not page.get("next") or not page["keeps"]:
                return found
            path = f"/v1/keeps?after={quote(str(page['next']), safe='')}"

    def link(self, keep: str) -> HttpLink:
        """The way to one Keep."""
        return HttpLink(self, keep)

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.endpoint.ca or None)
            if self.endpoint.certificate:
                context.load_cert_chain(self.endpoint.certificate, self.endpoint.key or None)
        except (OSError, ssl.SSLError) as e:
            raise UsageError("host-tls", f"TLS files for the host: {e}") from e
        return context

    def _connection(self) -> http.client.HTTPConnection:
        """This thread's kept connection."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connect(TIMEOUT)
        return connection

    def connect(self, timeout: float | None) -> http.client.HTTPConnection:
        """A connection of the caller's own."""
        if self._socket:
            return UnixConnection(self._socket, timeout)
        if self._tls is not None:
            return http.client.HTTPSConnection(*self._address, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(*self._address, timeout=timeout)

    def _request(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        if self.endpoint.token:
            headers = {**headers, "Authorization": f"Bearer {self.endpoint.token}"}
        again = connection.sock is not None and (body is None or isinstance(body, bytes))
        while True:
            try:
                connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
                answer = connection.getresponse()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as e:
                connection.close()
                if not again:
                    raise lost(f"{method} {path}: the host closed the connection") from e
                again = False  # a kept connection had gone stale
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                raise lost(f"{self.endpoint.url}: {e}") from e
        if answer.status >= 300:
            raise _error(answer)
        return answer


class HttpLink:
    """To one Keep through a daemon."""

    def __init__(self, client: HostClient, keep: str) -> None:
        self._client = client
        self._path = f"/v1/keeps/{quote(keep, safe='')}"
        self._streams: list[http.client.HTTPConnection] = []
        self._output = Stream(self.entries)

    def send(self, frames: Iterable[bytes | memoryview], size: int | None = None) -> None:
        """As Link: one POST, streamed."""
        body: Any = frames[0] if isinstance(frames, list) and len(frames) == 1 else iter(frames)
        headers = {"Content-Type": FRAMES}
        if not isinstance(body, bytes):
            headers |= {"Transfer-Encoding": "chunked"} if size is None else {"Content-Length": str(size)}
        answer = self._client._request(self._client._connection(), "POST", f"{self._path}/input", body, headers)
        answer.read(MAX_ANSWER)

    def receive(self, start: int) -> Iterator[Frame]:
        """As Link: one GET whose answer goes on as long as the Keep."""
        return self._output.read(start)

    def entries(self, start: int, *, follow: bool = True) -> Iterator[Frame]:
        """The same, or only what is there now."""
        connection = self._client.connect(None)
        self._streams.append(connection)
        path = f"{self._path}/output?from={start}&follow={'true' if follow else 'false'}"
        try:
            with self._client._request(connection, "GET", path, None, {}) as answer:
                yield from read_entries(answer)
        except (OSError, http.client.HTTPException) as e:
            raise lost("the host's output breaks off") from e
        finally:
            connection.close()

    def stop(self) -> None:
        """As Link."""
        self._client.call("POST", f"{self._path}/stop")

    def close(self) -> None:
        """As Link."""
        for connection in self._streams:
            connection.close()


def _error(answer: http.client.HTTPResponse) -> EnarxError:
    try:
        value = json.loads(answer.read(MAX_ANSWER))
    except (OSError, ValueError, http.client.HTTPException):
        return lost(f"the host answered {answer.status}")
    return host_error(value.get("error") if isinstance(value, dict) else None)
