"""A client of the host daemon's HTTP API (docs/spec/host.md): for management, and as the `Link` to one Keep.

The host controls the daemon, so its answers are bounded: in bytes, in time between two bytes, and in time overall. An
answer that exceeds a bound or is not HTTP raises UnavailableError, as a broken connection does.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from enarx.errors import EnarxError, ParseError, UnavailableError, VerificationError
from enarx.formats import plain_json
from enarx.formats.bounds import COMPILE
from enarx.tenant.connection import MAX_ANSWER, MAX_TIME, TIMEOUT, Answer, Connection, Endpoint, Place
from enarx.tenant.link import Frame, Stream, closed, host_error, lost, read_entries

FRAMES = "application/vnd.enarx.frames"
PAGE = 1000
"""Keeps in each page of a list, at most."""
MAX_LIST = 16 << 20
"""Bytes of all pages of a list together: about 50,000 Keeps."""

PATIENCE = 20.0
"""Seconds that the host is asked to wait for an end in one request: less than the silence after which it counts as lost."""

IDLE = 2.0
"""Seconds that a kept connection may be idle: daemons close theirs after five."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WHOLE = re.compile(r"[0-9a-f]{16}")
"""A complete Keep id (docs/spec/host.md)."""

REACH = "is it running, and is this its address? start one with: enarx host serve"

CLOSED = "the host closed the connection without an answer"

OTHERS = "another user runs this host; its --socket-group lets the members of a group in"

_BROKEN = (OSError, http.client.HTTPException, ValueError)
"""What http.client raises if the peer violates HTTP or disconnects."""


class HostClient:
    """One daemon. Each thread has a connection of its own, which is kept open and reopened when it breaks.

    A failed request is repeated only if that cannot have an effect twice: if it reads, or has an idempotency key.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._place = Place(endpoint)
        self._local = threading.local()
        self._kept: list[Connection] = []

    def launch(
        self,
        *,
        kind: str = "",
        package: bytes | None,
        memory: int,
        compile: int = COMPILE,
        disk: int,
        name: str = "",
        declared: bytes | None = None,
        invitation: str = "",
    ) -> str:
        """Launch a Keep and return its id; from the host's pool if `package` is None and the sizes (bytes) fit.

        Without a `kind` the host launches its default kind. The host lists the Keep with its `name`, if that is not empty, and
        with the digest of the package that will be delivered, `declared`. `invitation` is the digest of the secret by which
        others may reach the Keep; without it only the tenant can.
        """
        sizes = {"memory": memory, "compile": compile, "disk": disk}
        body: dict[str, object] = {"package_digest": package.hex() if package else None, **sizes}
        optional = {"kind": kind, "name": name, "declared_package": declared.hex() if declared else ""}
        optional |= {"invitation": invitation}
        body |= {field: text for field, text in optional.items() if text}
        answer = self.call("POST", "/v1/keeps", body, key=os.urandom(16).hex())
        keep: Any = answer.get("id") if isinstance(answer, dict) else None
        if not _is_id(keep):
            raise unclear("POST /v1/keeps: the host answered without the id of a Keep")
        return str(keep)

    def call(self, method: str, path: str, body: object = None, *, key: str = "") -> Any:
        """Make one JSON request and return the decoded answer. With a `key`, the host acts on equal requests once."""
        return self._call(method, path, body, key)[0]

    def _call(self, method: str, path: str, body: object = None, key: str = "") -> tuple[Any, int]:
        """The decoded answer, and its size in bytes."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data is not None else {}
        if key:
            headers["Idempotency-Key"] = key
        with self.request(self._connection(), method, path, data, headers) as answer:
            text = whole(answer, f"{method} {path}")
        if not text:
            return None, 0
        try:
            return plain_json.decode(text, f"{method} {path}: the host's answer"), len(text)
        except ParseError as e:
            raise unclear(e.message) from e

    def keeps(self, *, name: str = "", state: str = "") -> list[dict[str, Any]]:
        """All Keeps that the host lists, each a dict with an id. All pages together are bounded as one answer is.

        Only those with the `name` and in the `state`, if given.
        """
        wanted = {field: text for field, text in (("name", name), ("state", state)) if text}
        query = "".join(f"&{field}={quote(text, safe='')}" for field, text in wanted.items())
        listed: dict[str, dict[str, Any]] = {}
        after: Any = ""
        total, end = 0, time.monotonic() + MAX_TIME
        while True:
            answer, size = self._call("GET", f"/v1/keeps?limit={PAGE}{query}" + (f"&after={after}" if after else ""))
            total += size
            if total > MAX_LIST or time.monotonic() > end:
                raise unclear(f"GET /v1/keeps: the list is over {MAX_LIST >> 20} MiB, or takes over {MAX_TIME:g} s")
            keeps = answer.get("keeps") if isinstance(answer, dict) else None
            if not isinstance(keeps, list) or not all(isinstance(k, dict) and _is_id(k.get("id")) for k in keeps):
                raise unclear("GET /v1/keeps: the host's answer is not a list of Keeps")
            before = len(listed)
            listed |= {k["id"]: k for k in keeps}
            after = answer.get("next")
            if not _is_id(after) or len(listed) == before:
                return [k for k in listed.values() if all(k.get(field) == text for field, text in wanted.items())]

    def find(self, word: str) -> list[str]:
        """The ids of the host's Keeps that `word` may stand for: a name, or the start of an id.

        A complete id is returned without asking the host. Of several Keeps with the name, it is the one that runs, else the one
        that was launched last.
        """
        if _WHOLE.fullmatch(word):
            return [word]
        listed = self.keeps()
        named = [keep for keep in listed if keep.get("name") == word]
        if named:  # the host lists the oldest first
            return [next((k["id"] for k in named if k.get("state") == "running"), named[-1]["id"])]
        return [keep["id"] for keep in listed if keep["id"].startswith(word)]

    def wait(self, keep: str, seconds: float) -> bool:
        """Whether the Keep ends within `seconds`, as the host says; an answer may take that long, up to PATIENCE."""
        answer = self.call("GET", f"/v1/keeps/{keep}/wait?timeout={max(0.0, min(seconds, PATIENCE)):g}")
        ended = answer.get("ended") if isinstance(answer, dict) else None
        if not isinstance(ended, bool):
            raise unclear(f"GET /v1/keeps/{keep}/wait: the host's answer does not say whether the Keep has ended")
        return ended

    def link(self, keep: str) -> HttpLink:
        """The link to one Keep."""
        return HttpLink(self, keep)

    def _connection(self) -> Connection:
        """The kept connection of this thread, made if missing."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connect()
            self._kept.append(connection)
        if time.monotonic() - connection.used > IDLE or connection.is_readable():
            connection.close()  # the daemon may have closed it, and a request on it would be lost
        return connection

    def close(self) -> None:
        """Close the kept connections of all threads. A later request makes new ones."""
        for connection in self._kept:
            connection.close()

    def connect(self) -> Connection:
        """A new connection, which the caller closes."""
        return self._place.connection(TIMEOUT)

    @contextlib.contextmanager
    def request(
        self, connection: Connection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> Iterator[Answer]:
        """The answer to one request, if its status is 2xx. A connection on which anything fails is closed."""
        if self.endpoint.token:
            headers = {**headers, "Authorization": f"Bearer {self.endpoint.token}"}
        elif self.endpoint.invitation:
            headers = {**headers, "Authorization": f"Invitation {self.endpoint.invitation}"}
        try:
            with self._answer(connection, method, path, body, headers) as answer:
                if not 200 <= answer.status < 300:
                    raise _error(answer, f"{method} {path}", credential=bool(self.endpoint.token))
                yield answer
            connection.used = time.monotonic()
        except BaseException:
            connection.close()
            raise

    def _answer(self, connection: Connection, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        again = method == "GET" or "Idempotency-Key" in headers
        while True:
            try:
                self._open(connection)
                connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
                answer = connection.getresponse()
            except _BROKEN as e:
                connection.close()
                if not again or not isinstance(e, ConnectionError):
                    raise self._broken(f"{method} {path}", e, first=connection.used < 0) from e
                again = False
            else:
                assert isinstance(answer, Answer)  # as every `Connection` does
                return answer

    def _broken(self, what: str, e: Exception, *, first: bool) -> UnavailableError:
        """The error for a request that failed. A host that closes its `first` connection may expect TLS, or a certificate."""
        scheme, _, place = self.endpoint.url.partition("://")
        if not first or scheme == "unix" or not isinstance(e, (ConnectionError, http.client.BadStatusLine)):
            return _failed(what, e)
        hint = f"if it serves over TLS: https://{place}"
        if scheme == "https":
            hint = "--client-cert FILE and --client-key FILE, if the host requires a certificate"
        return UnavailableError("host-lost", f"{self.endpoint.url}: {CLOSED}", hint=hint)

    def _open(self, connection: Connection) -> None:
        """Open a connection that is not open. UnavailableError `host-down`; VerificationError if its certificate is wrong."""
        if connection.sock is not None:
            return
        try:
            connection.connect()
        except ssl.SSLError as e:
            connection.close()
            raise _tls_failed(self.endpoint.url, e) from e
        except OSError as e:
            connection.close()
            reason = e.strerror or "it does not answer in time"
            message = f"{self.endpoint.url}: the host cannot be reached: {reason}"
            hint = OTHERS if isinstance(e, PermissionError) else REACH
            raise UnavailableError("host-down", message, hint=hint) from e


def _tls_failed(url: str, e: ssl.SSLError) -> EnarxError:
    """The error for a TLS handshake that failed."""
    if isinstance(e, ssl.SSLCertVerificationError):
        hint = "is this the host's name, and --ca FILE the authority that signed its certificate?"
        return VerificationError("host-certificate", f"{url}: the host's certificate: {e.verify_message}", hint=hint)
    if e.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        hint = f"if it serves without TLS: {url.replace('https', 'http', 1)}"
        return UnavailableError("host-tls", f"{url}: the host does not speak TLS", hint=hint)
    return _tls_refused(url, e)


def _tls_refused(what: str, e: ssl.SSLError) -> UnavailableError:
    reason = (e.reason or e.strerror or "the handshake failed").replace("_", " ").lower()
    hint = "--client-cert FILE and --client-key FILE, if the host requires a certificate"
    return UnavailableError("host-tls", f"{what}: TLS with the host fails: {reason}", hint=hint)


def _is_id(value: object) -> bool:
    """Has the value the form of a Keep id?"""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def ids(answer: object, name: str) -> list[str]:
    """The list of Keep ids under `name` in an answer. UnavailableError if it is anything else."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, list) or not all(map(_is_id, value)):
        raise unclear(f"the host's answer has no list of Keep ids under {name}")
    return value


def whole(answer: http.client.HTTPResponse, what: str) -> bytes:
    """The body of an answer, at most MAX_ANSWER bytes. UnavailableError if it is larger or incomplete."""
    try:
        text = answer.read(MAX_ANSWER + 1)
    except _BROKEN as e:
        raise _failed(what, e) from e
    if len(text) > MAX_ANSWER:
        raise unclear(f"{what}: the host's answer is over {MAX_ANSWER >> 20} MiB")
    if answer.length:
        raise lost(f"{what}: the host's answer breaks off")
    return text


def unclear(message: str) -> UnavailableError:
    """The error for an answer that makes no sense. Whether the host acted on the request is unknown."""
    return UnavailableError("host-answer", message, hint="is this the address of an Enarx host?")


def _failed(what: str, e: Exception) -> UnavailableError:
    """The error for what http.client raised."""
    if isinstance(e, TimeoutError):
        return UnavailableError("host-slow", f"{what}: the host does not answer in time", hint="try again")
    if isinstance(e, ssl.SSLError) and "ALERT" in (e.reason or ""):  # TLS 1.3: the host refuses after the handshake
        return _tls_refused(what, e)
    if isinstance(e, (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError)):
        return lost(f"{what}: the host closed the connection")
    if isinstance(e, OSError):
        return lost(f"{what}: {e.strerror or e}")
    return unclear(f"{what}: the host's answer is not HTTP ({type(e).__name__})")


class HttpLink:
    """The link to one Keep through a daemon."""

    def __init__(self, client: HostClient, keep: str) -> None:
        self._client = client
        self._path = f"/v1/keeps/{quote(keep, safe='')}"
        self._streams: set[Answer] = set()
        self._closed = False
        self._output = Stream(self.entries)

    def send(self, frames: Iterable[bytes | memoryview], size: int | None = None) -> None:
        """Implement Link: one POST, streamed."""
        if self._closed:
            raise closed()
        body: Any = frames[0] if isinstance(frames, list) and len(frames) == 1 else iter(frames)
        headers = {"Content-Type": FRAMES}
        if not isinstance(body, bytes):
            headers |= {"Transfer-Encoding": "chunked"} if size is None else {"Content-Length": str(size)}
        path = f"{self._path}/input"
        streamed = not isinstance(body, bytes)
        connection = self._client.connect() if streamed else self._client._connection()
        try:
            with self._client.request(connection, "POST", path, body, headers) as answer:
                whole(answer, f"POST {path}")
        finally:
            if streamed:
                connection.close()  # streams are sent from threads of their own, which end now

    def receive(self, start: int) -> Iterator[Frame]:
        """Implement Link: one GET whose answer lasts as long as the Keep."""
        return self._output.read(start)

    def entries(self, start: int, *, follow: bool = True) -> Iterator[Frame]:
        """Like `receive`; without `follow`, only the frames so far."""
        connection = self._client.connect()
        path = f"{self._path}/output?from={start}&follow={'true' if follow else 'false'}"
        try:
            with self._client.request(connection, "GET", path, None, {}) as answer:
                self._streams.add(answer)
                try:
                    if self._closed:
                        raise closed()
                    yield from read_entries(answer.frames(follow=follow))
                finally:
                    self._streams.discard(answer)  # a host may break connections forever, and each has buffers
        except (*_BROKEN, UnavailableError) as e:
            if self._closed:  # by another thread, in the middle of a read
                raise closed() from None
            if isinstance(e, UnavailableError):
                raise
            raise _failed(f"GET {path}", e) from e
        finally:
            connection.close()

    def stop(self) -> None:
        """Implement Link: the host kills the Keep."""
        self._client.call("POST", f"{self._path}/stop")

    def close(self) -> None:
        """Implement Link: reads in progress see the end."""
        self._closed = True
        for answer in list(self._streams):
            answer.hang_up()


def _error(answer: http.client.HTTPResponse, what: str, *, credential: bool) -> EnarxError:
    """The error that the host reports, or else its status. `credential` is True if a token was sent."""
    try:
        value = plain_json.decode(whole(answer, what), what)
        error = value.get("error") if isinstance(value, dict) else None
    except (ParseError, UnavailableError):
        error = None
    if not isinstance(error, dict):
        return unclear(f"{what}: the host answered {answer.status}")
    reported = host_error(error)
    if reported.code == "unauthorized" and credential:
        reported.hint = "the token that was sent is not one of this host's"
    return reported


__all__ = ["Endpoint", "HostClient", "HttpLink", "ids"]
