"""T21: a host answers with malformed or endless data. The command reports it, in bounded time and memory."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from enarx.errors import EnarxError, UnavailableError
from enarx.formats.wire import FrameType, frame
from enarx.tenant import connection
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.link import LocalLink
from tests.attacks.rogue import CLOSE, RESET, Rogue, Script, answer, says, slowly
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import enarx

DEEP = b"[" * 5000 + b"]" * 5000
MIB = 1 << 20
KEEP = {"id": "abc", "kind": "process", "state": "running"}

ANSWERS: dict[str, bytes] = {
    "status above all": b"HTTP/1.1 99999 OK\r\n\r\n",
    "status 999": answer(b"{}", "999 What"),
    "status 0": b"HTTP/1.1 000 OK\r\n\r\n",
    "status -1": b"HTTP/1.1 -1 OK\r\n\r\n",
    "status of words": b"HTTP/1.1 two OK\r\n\r\n",
    "status 199": answer(b"{}", "199 What"),
    "a redirection": answer(b"", "302 Found", "Location: http://127.0.0.1:1/"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "an older HTTP": b"HTTP/0.9 200 OK\r\n\r\n",
    "HTTP of the future": b"HTTP/9.9 200 OK\r\n\r\n",
    "nothing": RESET,
    "a long status line": b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
    "a header that is none": b"HTTP/1.1 200 OK\r\n\xff\xfe\r\n: : :\r\nContent-Length: 2\r\n\r\n{}",
    "a length of words": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\nConnection: close\r\n\r\n{}",
    "a length of too many digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}" + RESET,
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\nConnection: close\r\n\r\n{}",
    "chunks of words": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n",
    "a negative chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n",
    "a list of nothing": says({"keeps": None}),
    "deep": answer(DEEP),
    "deep enough to be read": says({"keeps": [{**KEEP, "deep": json.loads("[" * 600 + "]" * 600)}]}),
    "an error that is deep": answer(b'{"error":' + DEEP + b"}", "500 Error"),
    "an error with a deep text": answer(
        b'{"error":{"code":"x","message":' + b"[" * 500 + b"]" * 500 + b"}}", "500 Error"
    ),
    "a number of many digits": answer(b'{"keeps":' + b"9" * 5000 + b"}"),
    "no UTF-8": answer(b"\xff\xfe\xfd"),
    "no JSON": answer(b"<html>"),
    "a text": says("keeps"),
    "a text for a list": says({"keeps": "abc"}),
    "no ids": says({"keeps": [{"id": 5}, 7]}),
    "an id that is a path": says({"keeps": [{"id": "../../x"}]}),
    "16 MiB and more": answer(b" " * (16 * MIB) + b"garbage"),
}


@pytest.fixture
def rogue() -> Iterator[list[Rogue]]:
    made: list[Rogue] = []
    yield made
    for each in made:
        each.close()


def once(text: bytes) -> Script:
    """Serve this answer, and then close the connection."""
    pieces = [text.removesuffix(RESET), RESET] if text.endswith(RESET) else [text, CLOSE]
    return lambda _: pieces


def says_no(home: Path, *arguments: str) -> bytes:
    """The command ends undecided, with an error that this program wrote."""
    found = enarx(home, *arguments)
    assert found.returncode == 127, found
    assert found.stderr.startswith(b"error: ")
    assert b"fault of the program" not in found.stderr
    assert b"Traceback" not in found.stderr
    assert len(found.stderr) < 10_000
    return found.stderr


@pytest.mark.parametrize("name", ANSWERS)
def test_a_list_of_keeps(home: Path, rogue: list[Rogue], name: str) -> None:
    rogue.append(Rogue(once(ANSWERS[name])))
    says_no(home, "keep", "list", "--host", rogue[0].url)


@pytest.mark.parametrize("action", ["inspect", "logs", "attach", "stop", "rm", "prune"])
def test_every_command(home: Path, rogue: list[Rogue], action: str) -> None:
    rogue.append(Rogue(once(answer(DEEP))))
    says_no(home, "keep", action, *([] if action == "prune" else ["abc"]), "--host", rogue[0].url)


def test_values_of_any_type_are_shown(home: Path, rogue: list[Rogue]) -> None:
    odd = {"id": "abc", "kind": [1], "state": {"a": "\ud800\x1b[31m"}, "started": 1e400, "created": "x"}
    rogue.append(Rogue(lambda _: says({"keeps": [odd, {**odd, "id": "b", "started": -1}]})))
    for more in ([], ["--json"]):
        found = enarx(home, "keep", "list", "--host", rogue[0].url, *more)
        assert found.returncode == 0
        assert b"\x1b" not in found.stdout


def test_pages_without_end(home: Path, rogue: list[Rogue]) -> None:
    """Each page is within its bounds, and names the next."""
    size = 0

    def page(request: bytes) -> bytes:
        nonlocal size
        keeps = [{**KEEP, "id": f"{len(rogue[0].requests)}-{i}", "kind": "x" * 3000} for i in range(1000)]
        size += (sent := says({"keeps": keeps, "next": "more"})).__len__()
        return sent if size < 256 * MIB else says({"keeps": [], "next": None})

    rogue.append(Rogue(page))
    assert b"MiB" in says_no(home, "keep", "list", "--host", rogue[0].url)
    assert size < 32 * MIB


def test_a_whole_id_is_asked_for_and_not_looked_for(home: Path, rogue: list[Rogue]) -> None:
    """A list grows with the host's Keeps. It is only fetched to look up the beginning of an id."""
    there = "0123456789abcdef"
    known = says({"error": {"code": "not-found", "message": "no such Keep"}}, "404 Not Found")
    listed = says({"keeps": [{**KEEP, "id": there}], "next": None})
    rogue.append(Rogue(lambda r: listed if b"?limit" in r else says(KEEP) if there.encode() in r else known))
    for asked, lists, code in ((there, False, 0), (there[:5], True, 0), ("f" * 16, False, 125)):
        del rogue[0].requests[:]
        assert enarx(home, "keep", "inspect", asked, "--host", rogue[0].url).returncode == code
        assert any(b"GET /v1/keeps?" in request for request in rogue[0].requests) is lists


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", 1.0)
    monkeypatch.setattr(connection, "MAX_TIME", 2.0)
    monkeypatch.setattr("enarx.tenant.http.TIMEOUT", 1.0)


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, Iterable[bytes]] = {
    "an answer drop by drop": [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b" "] * 1000],
    "continue forever": [b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000,
    "empty trailers forever": [HEAD, b"0\r\n", *[b"x: y\r\n"] * 1000],
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.usefixtures("patience")
def test_slow_answers_end(rogue: list[Rogue], name: str) -> None:
    rogue.append(Rogue(lambda _: (piece for part in ENDLESS[name] for piece in (part, *slowly(b"", 0.04)))))
    start = time.monotonic()
    with pytest.raises(UnavailableError, check=lambda e: e.code in ("host-slow", "host-answer")):
        HostClient(Endpoint(url=rogue[0].url)).call("GET", "/v1/keeps")
    assert time.monotonic() - start < 20


@pytest.mark.usefixtures("patience")
def test_no_answer_at_all(rogue: list[Rogue]) -> None:
    rogue.append(Rogue(lambda _: slowly(b"", 5)))
    with pytest.raises(UnavailableError, check=lambda e: e.code == "host-slow"):
        HostClient(Endpoint(url=rogue[0].url)).call("GET", "/v1/keeps")


SENT = 64 * MIB


@pytest.mark.parametrize(
    "name", ["a negative chunk", "a body without end", "heads without end", "trailers without end"]
)
def test_floods_are_cut_off(rogue: list[Rogue], name: str) -> None:
    """The command reads little more than the cap, whatever http.client makes of the framing."""
    begin, piece = {
        "a negative chunk": (HEAD + b"-1\r\n", b"x" * 65536),
        "a body without end": (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
        "heads without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "trailers without end": (HEAD + b"0\r\n", b"x: y\r\n" * 10000),
    }[name]
    taken = [0]

    def flood(_: bytes) -> Iterable[bytes]:
        yield begin
        while taken[0] < SENT:
            taken[0] += len(piece)
            yield piece

    rogue.append(Rogue(flood))
    with pytest.raises(UnavailableError, check=lambda e: e.code == "host-answer"):
        HostClient(Endpoint(url=rogue[0].url)).call("GET", "/v1/keeps")
    assert taken[0] < 4 * connection.MAX_ANSWER


@pytest.mark.parametrize("follow", [True, False])
def test_output_in_a_negative_chunk(rogue: list[Rogue], follow: bool) -> None:
    taken = [0]

    def flood(_: bytes) -> Iterable[bytes]:
        yield HEAD + b"-1\r\n"
        while taken[0] < SENT:
            taken[0] += 65536
            yield b"\0" * 65536

    rogue.append(Rogue(flood))
    with pytest.raises(EnarxError):
        list(HostClient(Endpoint(url=rogue[0].url)).link("abc").entries(0, follow=follow))
    assert taken[0] < SENT // 2


def test_nothing_is_left_of_an_answer_that_was_cut_off(rogue: list[Rogue]) -> None:
    """The next request does not read bytes that the last one left over."""
    big = answer(b" " * (connection.MAX_ANSWER + 100))
    answers = iter([big, says({"fine": 1})])
    rogue.append(Rogue(lambda _: next(answers)))
    client = HostClient(Endpoint(url=rogue[0].url))
    with pytest.raises(UnavailableError, check=lambda e: e.code == "host-answer"):
        client.call("GET", "/v1/keeps")
    assert client.call("GET", "/v1/keeps") == {"fine": 1}
    client.close()


def test_a_launch_is_repeated_with_its_key_and_nothing_else_is(rogue: list[Rogue]) -> None:
    answers: dict[bytes, int] = {}

    def script(request: bytes) -> Iterable[bytes]:
        line = request.splitlines()[0]
        answers[line] = answers.get(line, 0) + 1
        return [RESET] if answers[line] == 1 else [says({"id": "abc"})]

    rogue.append(Rogue(script))
    client = HostClient(Endpoint(url=rogue[0].url))
    assert client.launch(kind="process", package=None, memory=1, disk=1) == "abc"
    keys = [line for request in rogue[0].requests for line in request.splitlines() if b"Idempotency-Key" in line]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert client.launch(kind="process", package=None, memory=1, disk=1) == "abc"
    assert keys[0] not in rogue[0].requests[-1]
    assert client.call("GET", "/v1/keeps") == {"id": "abc"}
    for path in ("/v1/keeps/abc/stop", "/v1/prune"):
        with pytest.raises(UnavailableError, check=lambda e: e.code == "host-lost"):
            client.call("POST", path)
        assert sum(path.encode() in request for request in rogue[0].requests) == 1
    with pytest.raises(UnavailableError, check=lambda e: e.code == "host-lost"):
        client.link("abc").send([b"frame"])
    assert sum(b"/input" in request for request in rogue[0].requests) == 1
    client.close()


LINES = [b"", b"\n", b"[]\n", b"5\n", DEEP + b"\n", b"9" * 5000 + b"\n", b'{"ok": "yes"}\n', b"\xff\n", b"x" * 100_000]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_the_host_side_of_this_machine(home: Path, line: bytes) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(home / "sock"))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(line)

    thread = threading.Thread(target=serve)
    thread.start()
    link = LocalLink(str(home / "sock"))
    with pytest.raises(UnavailableError):
        link.stop()
    thread.join()
    link.close()
    listener.close()


def test_a_host_that_breaks_connections_for_ever_fills_no_memory(rogue: list[Rogue]) -> None:
    """Each connection makes progress of a kind, so none of them is the last."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    entry = bytes(8) + frame(FrameType.RECEIVED, b"")
    rogue.append(Rogue(lambda _: [head + b"%x\r\n%s\r\n" % (len(entry), entry), CLOSE]))
    link = HostClient(Endpoint(url=rogue[0].url)).link("abc")
    for _ in range(50):
        with pytest.raises(UnavailableError):
            assert [number for number, _, _ in link.receive(0)] == [0]
    assert len(rogue[0].requests) == 50
    assert not link._streams
