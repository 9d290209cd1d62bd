"""A strict, sans-IO reading of HTTP/1.1 request heads and chunked bodies (RFC 9112).

There is one reading or none: bytes that two programs could read as different requests are refused, and once a bound of
`Limits` is exceeded nothing more is read. Lines end in CR LF; fields are not folded; each field that decides anything occurs
once; a body has a length or is chunked, never both; trailers are checked, counted and dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from enarx.host.errors import HostError
from enarx.host.http.limits import Limits

END = b"\r\n\r\n"
BEGINNING = re.compile(rb"[A-Z]{1,20}(?: (?:/[!-~]*(?: [HTP/0-9.]{0,8})?)?)?\r?")
"""The form of an unfinished request line. Anything else is refused before more of it arrives."""

LINE = re.compile(rb"([A-Z]{1,20}) (/[\x21-\x22\x24-\x7e]*) HTTP/([0-9]\.[0-9])")
NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~%-]*)(?::[0-9]{0,5})?")
LENGTH = re.compile(rb"[0-9]{1,15}")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?")
LONE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\0")
ONCE = frozenset(
    b"host content-length transfer-encoding content-type authorization expect idempotency-key origin sec-fetch-site".split()
)
"""Fields that decide something: with two of them, the decision would be ambiguous."""

BYTES_PER_CHUNK = 64


def malformed(what: str) -> HostError:
    """The refusal of malformed bytes."""
    return HostError("malformed", what, hint="see RFC 9112")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request's head.

    Names in `headers` are in lower case. `length` is -1 for a chunked body. `waits`: the client expects 100 Continue.
    `keeps`: the connection may serve another request.
    """

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    length: int
    waits: bool
    keeps: bool


def check_beginning(data: bytearray, limits: Limits, checked: int = 0) -> None:
    """Check an unfinished head. HostError as soon as it cannot become a valid one.

    The first `checked` bytes were checked before and are not scanned again: a head that arrives byte by byte would
    otherwise cost the square of its size.
    """
    if data.find(b"\r\n", 0, min(checked, limits.target + 64)) < 0:
        _check_first(bytes(data[: limits.target + 64].partition(b"\r\n")[0]), limits)
    if len(data) > limits.head or data.count(b"\n") > limits.fields + 1:
        raise HostError("headers", f"wanted at most {limits.head} bytes and {limits.fields} fields of headers")
    if LONE.search(data, max(0, checked - 1)):
        raise malformed("lines of a head must end in CR LF")


def _check_first(line: bytes, limits: Limits) -> None:
    _check_target(line, limits)
    if not BEGINNING.fullmatch(line):
        raise malformed("not the beginning of an HTTP/1.1 request")


def read_head(data: bytes, limits: Limits) -> Head:
    """Read the head in `data`, which ends with the first empty line. HostError."""
    line, *fields = data[: -len(END)].split(b"\r\n")
    request = LINE.fullmatch(line)
    _check_target(line, limits)
    if request is None:
        raise malformed("not a request line of HTTP/1.1")
    if request[3] != b"1.1":
        raise HostError("http-version", "wanted HTTP/1.1")
    if len(data) > limits.head or len(fields) > limits.fields:
        raise HostError("headers", f"wanted at most {limits.head} bytes and {limits.fields} fields of headers")
    headers = [_field(field) for field in fields]
    single = {name: value for name, value in headers if name in ONCE}
    if len(single) != sum(name in ONCE for name, _ in headers):
        raise malformed("a header that may occur once occurs twice")
    if not HOST.fullmatch(single.get(b"host", b"/")):
        raise malformed("wanted one valid Host header")
    path, _, query = request[2].partition(b"?")
    return Head(
        method=request[1].decode(),
        path=path,
        query=query,
        headers=headers,
        length=_length(single),
        waits=single.get(b"expect", b"").lower() == b"100-continue",
        keeps=not any(name == b"connection" and b"close" in value.lower() for name, value in headers),
    )


def _check_target(line: bytes, limits: Limits) -> None:
    if len(line.partition(b" ")[2].partition(b" ")[0]) > limits.target:
        raise HostError("target", f"wanted at most {limits.target} bytes of path and query")


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not NAME.fullmatch(name) or not VALUE.fullmatch(value):
        raise malformed("invalid header field")
    return name.lower(), value


def _length(single: dict[bytes, bytes]) -> int:
    length, coding = single.get(b"content-length"), single.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or coding.lower() != b"chunked":
            raise malformed("wanted Content-Length, or chunked as the only Transfer-Encoding")
        return -1
    if length is not None and not LENGTH.fullmatch(length):
        raise malformed("invalid Content-Length")
    return int(length or b"0")


class Counted:
    """Reads a body of known length."""

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def complete(self) -> bool:
        """Has all of it been read?"""
        return not self.left

    def read(self, rest: bytearray) -> bytes:
        """Remove from the front of `rest` as much as belongs to the body, and return it."""
        piece = _take(rest, self.left)
        self.left -= len(piece)
        return piece


class Chunked:
    """Reads a body in chunked transfer coding."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = self._count = self._total = self._trailers = 0
        self._next = self._size
        self.complete = False

    def read(self, rest: bytearray) -> bytes:
        """Remove from the front of `rest` as much as belongs to the body; return its data. HostError."""
        pieces = []
        while not self.complete and rest:
            if self._left:
                pieces.append(_take(rest, self._left))
                self._left -= len(pieces[-1])
            elif (line := self._line(rest)) is not None:
                self._next(line)
            else:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _line(self, rest: bytearray) -> bytes | None:
        most = self._limits.trailers if self._next == self._trailer else self._limits.chunk_line
        end = rest.find(b"\r\n", 0, most + 2)
        if end < 0:
            if len(rest) > most:
                raise HostError("headers", f"wanted at most {most} bytes of a chunk's head or of trailers")
            return None
        line = bytes(rest[:end])
        del rest[: end + 2]
        return line

    def _size(self, line: bytes) -> None:
        head = CHUNK.fullmatch(line)
        if head is None:
            raise malformed("invalid head of a chunk")
        self._left = int(head[1], 16)
        self._count += 1
        self._total += self._left
        if self._count > self._limits.chunks + self._total // BYTES_PER_CHUNK:
            raise HostError("headers", f"chunks are too small: wanted {BYTES_PER_CHUNK} bytes on average")
        self._next = self._end if self._left else self._trailer

    def _end(self, line: bytes) -> None:
        if line:
            raise malformed("a chunk is longer than its head says")
        self._next = self._size

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.complete = True
            return
        _field(line)
        self._trailers += len(line) + 2
        if self._trailers > self._limits.trailers:
            raise HostError("headers", f"wanted at most {self._limits.trailers} bytes of trailers")


def _take(rest: bytearray, most: int) -> bytes:
    with memoryview(rest) as view, view[:most] as part:
        piece = bytes(part)
    del rest[: len(piece)]
    return piece
