"""T13: the host lies in its interface. Its word is shown as hearsay, or ignored; only sealed records count."""

from __future__ import annotations

import io
import json
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from enarx.errors import BackendError, EnarxError, ParseError, UnavailableError, UsageError
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.link import read_entries

LIES: dict[str, tuple[int, bytes]] = {
    "no json": (200, b"<html>"),
    "no id": (201, b"{}"),
    "another type": (201, b'{"id": 5}'),
    "a list": (201, b"[1]"),
    "an error without form": (500, b"oops"),
    "an error of another form": (503, b'{"error": "full"}'),
    "a huge text": (503, json.dumps({"error": {"code": "x", "message": "y" * 100_000}}).encode()),
}


class Liar(BaseHTTPRequestHandler):
    answer = (200, b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def liar() -> Iterator[HostClient]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = HostClient(Endpoint(url=f"http://127.0.0.1:{server.server_port}"))
    yield client
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("lie", LIES)
def test_a_launch(liar: HostClient, lie: str) -> None:
    Liar.answer = LIES[lie]
    with pytest.raises(UnavailableError) as caught:
        liar.launch(kind="process", package=None, memory=1, disk=1)
    assert len(caught.value.message) < 3000


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("layers-missing", BackendError),
        ("no-hardware", BackendError),
        ("not-found", UsageError),
        ("host-full", UnavailableError),
    ],
)
def test_errors_are_the_hosts_word(liar: HostClient, code: str, kind: type[EnarxError]) -> None:
    Liar.answer = (
        503,
        json.dumps({"error": {"code": code, "message": "m", "hint": "h", "checks": [1, ["a"]]}}).encode(),
    )
    with pytest.raises(kind, match="the host says: m"):
        liar.launch(kind="process", package=None, memory=1, disk=1)


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b"short", UnavailableError),
        (struct.pack(">QIB", 0, 100, 67) + b"cut", UnavailableError),
        (struct.pack(">QIB", 0, 0, 67), ParseError),
        (struct.pack(">QIB", 0, 1 << 31, 67), ParseError),
        (struct.pack(">QIB", 0, 5, 99) + b"type", ParseError),
    ],
)
def test_output_that_is_no_output(stream: bytes, kind: type[EnarxError]) -> None:
    with pytest.raises(kind):
        list(read_entries(io.BytesIO(stream)))
