"""Requests as bytes: what is read of them, compared with h11, and everything that is refused."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.host.errors import HostError
from enarx.host.http.limits import Limits
from enarx.host.http.requests import Chunked, check_beginning, read_head

LIMITS = Limits()
HOST = b"Host: localhost\r\n"


def head(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join([first, b"Host: h", *lines]) + b"\r\n\r\n"


def refused(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(HostError) as caught:
        read_head(data, limits)
    assert 400 <= caught.value.status < 600
    return caught.value.code


def test_a_head() -> None:
    found = read_head(head(b"X-A:  b \t", b"Content-Length: 12", first=b"POST /p/q%20r?s=t&u HTTP/1.1"), LIMITS)
    assert (found.method, found.path, found.query) == ("POST", b"/p/q%20r", b"s=t&u")
    assert found.headers == [(b"host", b"h"), (b"x-a", b"b"), (b"content-length", b"12")]
    assert (found.length, found.waits, found.keeps) == (12, False, True)
    assert read_head(head(b"Transfer-Encoding: Chunked", b"Expect: 100-Continue"), LIMITS).length == -1
    assert read_head(head(b"Expect: 100-Continue"), LIMITS).waits
    assert not read_head(head(b"Connection: a", b"Connection: b, Close"), LIMITS).keeps


SMUGGLED = {
    "two hosts": head(b"Host: h"),
    "two hosts that differ": head(b"host: other"),
    "no host": b"GET / HTTP/1.1\r\nA: b\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: h/p\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n",
    "two hosts in one": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "length and coding": head(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "coding and length": head(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two lengths": head(b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths alike": head(b"Content-Length: 5", b"Content-Length: 5"),
    "two lengths in one": head(b"Content-Length: 5, 5"),
    "a length with a sign": head(b"Content-Length: +5"),
    "a negative length": head(b"Content-Length: -5"),
    "a length in hexadecimal": head(b"Content-Length: 0x5"),
    "a length with an underscore": head(b"Content-Length: 1_0"),
    "an empty length": head(b"Content-Length:"),
    "a huge length": head(b"Content-Length: " + b"9" * 30),
    "another coding": head(b"Transfer-Encoding: gzip, chunked"),
    "chunked twice": head(b"Transfer-Encoding: chunked, chunked"),
    "two codings": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    "a coding that looks like chunked": head(b"Transfer-Encoding: xchunked"),
    "a coding behind a vertical tab": head(b"Transfer-Encoding: \x0bchunked"),
    "a space before the colon": head(b"Content-Length : 5"),
    "a space in a name": head(b"Content Length: 5"),
    "a folded field": head(b"A: b", b" c: d"),
    "a folded first field": b"GET / HTTP/1.1\r\n A: b\r\nHost: h\r\n\r\n",
    "a line feed alone": head(b"A: b\nTransfer-Encoding: chunked"),
    "a carriage return alone": head(b"A: b\rTransfer-Encoding: chunked"),
    "a null byte": head(b"A: b\0c"),
    "no colon": head(b"nonsense"),
    "no name": head(b": value"),
    "an absolute target": head(first=b"GET http://other/ HTTP/1.1"),
    "a target that is none": head(first=b"GET * HTTP/1.1"),
    "a fragment": head(first=b"GET /#f HTTP/1.1"),
    "a tunnel": head(first=b"CONNECT h:80 HTTP/1.1"),
    "two spaces": head(first=b"GET  / HTTP/1.1"),
    "a tab": head(first=b"GET\t/ HTTP/1.1"),
    "a small method": head(first=b"get / HTTP/1.1"),
    "bytes beyond ASCII": head(first=b"GET /\xff HTTP/1.1"),
    "no version": head(first=b"GET /"),
    "a version of two digits": head(first=b"GET / HTTP/1.10"),
    "two tokens": head(b"Authorization: Bearer a", b"authorization: Bearer b"),
    "two keys": head(b"Idempotency-Key: " + b"a" * 16, b"Idempotency-Key: " + b"b" * 16),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_could_be_read_in_two_ways(name: str) -> None:
    assert refused(SMUGGLED[name]) == "malformed"


@pytest.mark.parametrize("version", [b"1.0", b"0.9", b"2.0", b"3.0"])
def test_other_versions(version: bytes) -> None:
    assert refused(head(first=b"GET / HTTP/" + version)) == "http-version"


def test_bounds_of_heads() -> None:
    target = b"/" + b"a" * (LIMITS.target - 1)
    assert len(read_head(head(first=b"GET " + target + b" HTTP/1.1"), LIMITS).path) == LIMITS.target
    assert refused(head(first=b"GET " + target + b"a HTTP/1.1")) == "target"
    fields = [b"a:b"] * (LIMITS.fields - 1)
    assert len(read_head(head(*fields), LIMITS).headers) == LIMITS.fields
    assert refused(head(*fields, b"a:b")) == "headers"
    value = b"x" * (LIMITS.head - len(head(b"a:")))
    assert read_head(head(b"a:" + value), LIMITS)
    assert refused(head(b"a:" + value + b"x")) == "headers"


@pytest.mark.parametrize(
    ("begun", "code"),
    [
        (b"\x16\x03\x01\x02\x00", "malformed"),
        (b"\r\n", "malformed"),
        (b"get /", "malformed"),
        (b"GET http://x", "malformed"),
        (b"G" * 21, "malformed"),
        (b"GET /\n", "malformed"),
        (b"GET / HTTP/1.1\r\nA: b\n", "malformed"),
        (b"GET / HTTP/1.1\r\nA: b\rc", "malformed"),
        (b"GET / HTTP/1.1\r\nA: \0", "malformed"),
        (b"GET /" + b"a" * LIMITS.target, "target"),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * LIMITS.head, "headers"),
        (b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * (LIMITS.fields + 1), "headers"),
    ],
)
def test_heads_that_can_become_none(begun: bytes, code: str) -> None:
    with pytest.raises(HostError) as caught:
        check_beginning(bytearray(begun), LIMITS)
    assert caught.value.code == code


def test_every_beginning_of_a_head_is_waited_for() -> None:
    whole = head(*[b"a:b"] * (LIMITS.fields - 1), first=b"DELETE /v1/keeps/0?force=true HTTP/1.1")
    for size in range(1, len(whole)):
        check_beginning(bytearray(whole[:size]), LIMITS)


NAMES = st.sampled_from([b"A", b"Host", b"Content-Length", b"Transfer-Encoding", b"Expect", b"x y", b"", b"A "])
VALUES = st.sampled_from([b"b", b"5", b"chunked", b"h:80", b"", b" ", b"\x00", b"a\r\nb: c", b"\xff"])


@given(
    st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b" :", b""]), VALUES), max_size=4),
    st.sampled_from([b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 "]),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_what_is_accepted_is_what_h11_reads(fields: list[tuple[bytes, bytes, bytes]], first: bytes, end: bytes) -> None:
    data = end.join([first, b"Host: h", *(b"".join(field) for field in fields)]) + b"\r\n\r\n"
    try:
        found = read_head(data, LIMITS)
    except HostError:
        return
    other = h11.Connection(h11.SERVER)
    other.receive_data(data)
    request = other.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method.decode(), request.target) == (
        found.method,
        found.path + (b"?" if found.query else b"") + found.query,
    )
    assert [(bytes(k), bytes(v)) for k, v in request.headers] == found.headers


def body(data: bytes, step: int = 1 << 20, limits: Limits = LIMITS) -> tuple[bytes, bool, bytes]:
    """The data of a chunked body, whether it is complete, and what is left, read `step` bytes at a time."""
    chunked, rest, found = Chunked(limits), bytearray(), b""
    for start in range(0, len(data), step):
        rest += data[start : start + step]
        found += chunked.read(rest)
    return found, chunked.complete, bytes(rest)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 50))
def test_chunked_bodies_come_out_whole_however_they_are_cut(pieces: list[bytes], step: int) -> None:
    data = b"".join(b"%x;e=1\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\nT: u\r\n\r\nGET"
    assert body(data, step) == (b"".join(pieces), True, b"GET")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"x\r\n", "malformed"),
        (b"-1\r\n", "malformed"),
        (b"+1\r\n", "malformed"),
        (b"0x1\r\n", "malformed"),
        (b" 1\r\n", "malformed"),
        (b"\r\n", "malformed"),
        (b"1 2\r\n", "malformed"),
        (b"1\na\r\n0\r\n\r\n", "malformed"),
        (b"1\r\nab\r\n", "malformed"),
        (b"1\r\na\n0\r\n\r\n", "malformed"),
        (b"f" * 13 + b"\r\n", "malformed"),
        (b"1;e=\0\r\n", "malformed"),
        (b"0\r\n folded: x\r\n\r\n", "malformed"),
        (b"0\r\nnonsense\r\n\r\n", "malformed"),
        (b"1;" + b"e" * 300, "headers"),
        (b"1;" + b"e" * 300 + b"\r\n", "headers"),
        (b"0\r\na: " + b"b" * (5 << 10), "headers"),
        (b"0\r\n" + b"a: b\r\n" * 1000, "headers"),
        (b"1\r\na\r\n" * 5000, "headers"),
    ],
    ids=range(19),
)
def test_chunked_bodies_that_are_none(data: bytes, code: str) -> None:
    with pytest.raises(HostError) as caught:
        body(data)
    assert caught.value.code == code


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_read_or_refused(data: bytes, step: int) -> None:
    for prefix in (b"", b"GET / HTTP/1.1\r\nHost: h\r\n"):
        try:
            check_beginning(bytearray(prefix + data), LIMITS)
            read_head(prefix + data + b"\r\n\r\n", LIMITS)
        except HostError as e:
            assert e.status in (400, 414, 431, 505)
    try:
        body(data, step)
    except HostError as e:
        assert e.status in (400, 431)
