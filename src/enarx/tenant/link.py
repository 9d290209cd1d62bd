"""How a tenant reaches a Keep through a host: it sends frames and receives numbered frames. Nothing from a link is trusted.

`LocalLink` connects to a supervisor's socket, `http.HttpLink` to a daemon. A broken connection loses nothing: output is
requested by frame number, and input carries its offsets.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Protocol

from enarx.errors import BackendError, EnarxError, ParseError, UnavailableError, UsageError
from enarx.formats import plain_json
from enarx.formats.wire import HEADER, FrameType, frame_header

ENTRY = struct.Struct(">Q")
MAX_LINE = 64 << 10
PATIENCE = 120.0
"""Seconds that this machine's host side has to answer."""
ENDED = "its Keep has ended with it: start again"
Frame = tuple[int, FrameType, bytes]


class Link(Protocol):
    """A connection to one Keep through its host."""

    def send(self, frames: Iterable[bytes | memoryview], size: int | None = None) -> None:
        """Send frames to the Keep in order, `size` bytes in all if known. Returns once the host has them. UnavailableError."""

    def receive(self, start: int) -> Iterator[Frame]:
        """The Keep's frames from number `start` on: (number, type, payload). Ends when the Keep has ended. UnavailableError."""
        ...

    def stop(self) -> None:
        """Ask the host to kill the Keep."""

    def close(self) -> None:
        """Close every connection; a read in progress ends. Nothing can be sent or received any more."""


class Source(Protocol):
    """A stream that frames are read from."""

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        ...


def read_entries(source: Source) -> Iterator[Frame]:
    """The numbered frames of a host's output stream. UnavailableError if it breaks off, ParseError."""
    size = ENTRY.size + HEADER.size
    while head := source.read(size):
        if len(head) < size:
            raise lost("the host's output breaks off")
        (number,) = ENTRY.unpack_from(head)
        kind, length = frame_header(head[ENTRY.size :])
        payload = source.read(length)
        if len(payload) < length:
            raise lost("the host's output breaks off")
        yield number, kind, payload


class Stream:
    """Frames from a host. The connection stays open between two reads if the second continues where the first stopped."""

    def __init__(self, entries: Callable[[int], Iterator[Frame]]) -> None:
        self._open = entries
        self._entries: Iterator[Frame] | None = None
        self._next = 0

    def read(self, start: int) -> Iterator[Frame]:
        """The frames from number `start` on."""
        if self._entries is None or self._next != start:
            self._entries, self._next = self._open(start), start
        try:
            for entry in self._entries:
                self._next = entry[0] + 1
                yield entry
        except EnarxError:
            self._entries = None  # the next read opens a new connection
            raise
        self._entries = None


def lost(message: str) -> UnavailableError:
    """The error for a broken connection to the host. Whether the Keep still runs is unknown."""
    return UnavailableError("host-lost", message, hint="try again")


def closed() -> UnavailableError:
    """The error for using a link that this program has closed."""
    return UnavailableError("link-closed", "the connection to the Keep was closed here")


def host_error(error: Any) -> EnarxError:
    """The error that a host reports. It is an unproven claim of the host."""
    given = error if isinstance(error, dict) else {}
    code, message, hint = (
        text[:2000] if isinstance(text := given.get(k), str) else "" for k in ("code", "message", "hint")
    )
    message = f"the host says: {message or 'an error without a message'}"
    if code in ("layers-missing", "no-hardware"):
        return BackendError(code, message, hint=hint, checks=_checks(given.get("checks")))
    if code in ("usage", "unauthorized", "not-found", "not-ended", "unknown-layer", "name-taken"):
        return UsageError(code, message, hint=hint)
    return UnavailableError(code or "host", message, hint=hint)


def _checks(value: object) -> tuple[tuple[str, str, str], ...]:
    """The (name, missing, remedy) triples among a host's checks; anything else is dropped."""
    checks = []
    for item in value[:100] if isinstance(value, list) else ():
        match item:
            case [str(name), str(missing), str(remedy)]:
                checks.append((name[:200], missing[:500], remedy[:500]))
    return tuple(checks)


class LocalLink:
    """The link to a supervisor on this machine, by the path of its socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._input: socket.socket | None = None
        self._output = Stream(self._entries)
        self._open: list[tuple[socket.socket, BinaryIO]] = []
        self._closed = False

    def send(self, frames: Iterable[bytes | memoryview], size: int | None = None) -> None:
        """Implement Link: the connection stays open for the next call."""
        if self._input is None:
            self._input, _ = self._call({"op": "input"})
        for frame in frames:
            try:
                self._input.sendall(frame)
            except OSError as e:
                self._input.close()
                self._input = None  # the next call opens a new connection
                if self._closed:  # by another thread
                    raise closed() from None
                raise lost("the Keep takes no more input") from e

    def receive(self, start: int) -> Iterator[Frame]:
        """Implement Link: a broken connection is opened again."""
        return self._output.read(start)

    def _entries(self, start: int) -> Iterator[Frame]:
        connection, rest = self._call({"op": "output", "from": start, "follow": True})
        with connection, rest:
            try:
                yield from read_entries(rest)
            except (OSError, ValueError) as e:
                if self._closed:  # by another thread, in the middle of a read
                    raise closed() from None
                if isinstance(e, ValueError):
                    raise
                raise lost("the host's output breaks off") from e

    def stop(self) -> None:
        """Implement Link: the supervisor kills the Keep."""
        connection, rest = self._call({"op": "stop"})
        rest.close()
        connection.close()

    def close(self) -> None:
        """Implement Link: reads in progress see the end."""
        self._closed = True
        for connection, rest in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # a thread that reads sees an end
            rest.close()
            connection.close()

    def _call(self, request: dict[str, object]) -> tuple[socket.socket, BinaryIO]:
        if self._closed:
            raise closed()
        connection = socket.socket(socket.AF_UNIX)
        rest: BinaryIO = connection.makefile("rb", buffering=1 << 18)  # type: ignore[assignment]
        self._open.append((connection, rest))
        try:
            connection.connect(self._path)
        except OSError as e:
            raise UnavailableError("host-gone", "the host side of this machine is gone", hint=ENDED) from e
        try:
            connection.settimeout(PATIENCE)
            connection.sendall(json.dumps(request).encode() + b"\n")
            line = rest.readline(MAX_LINE)
            connection.settimeout(None)
        except OSError as e:
            raise lost("the host side does not answer") from e
        try:
            answer = plain_json.decode(line, "the answer of the host side")
        except ParseError:
            raise lost("the host side ended without an answer") from None
        if not isinstance(answer, dict) or answer.get("ok") is not True:
            raise host_error(answer)
        return connection, rest
