"""A hostile host for the real command: an HTTP proxy before a real daemon, which forwards only what it chooses."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from enarx.errors import EnarxError
from enarx.formats.wire import HEADER, FrameType, frame
from enarx.tenant.http import Endpoint, HostClient
from tests.e2e.harness import PATIENCE, Daemon, environment

Frame = tuple[FrameType, bytes]
Mangle = Callable[[FrameType, bytes], Iterable[Frame]]


class Cut(Exception):
    """Raised by a mangle to break the connection."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def handle(self) -> None:
        try:
            super().handle()
        finally:
            if (connection := getattr(self.server.client._local, "connection", None)) is not None:
                connection.close()  # this thread's; others are in use

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        if not where.path.endswith("/output"):
            self._pass()
            return
        asked = parse_qs(where.query)
        link = self.server.client.link(where.path.split("/")[3])
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        entries = link.entries(int(asked["from"][0]), follow=asked["follow"] == ["true"])
        try:
            with contextlib.closing(entries):
                for number, kind, payload in entries:
                    for made in self.server.to_tenant(kind, payload):
                        self.wfile.write(struct.pack(">Q", number) + frame(*made))
        except (Cut, OSError, EnarxError):
            return

    def do_POST(self) -> None:
        if not self.path.endswith("/input"):
            self._pass()
            return
        count = 0
        link = self.server.client.link(self.path.split("/")[3])
        try:
            for kind, payload in self._frames():
                count += 1
                made = [frame(*found) for found in self.server.to_keep(kind, payload)]
                if made:
                    link.send([b"".join(made)])
        except (Cut, OSError, EnarxError):
            self.close_connection = True
            return
        self._answer(200, {"frames": count})

    def do_DELETE(self) -> None:
        self._pass()

    def _frames(self) -> Iterable[Frame]:
        source: Any = self.rfile
        if self.headers.get("Transfer-Encoding") == "chunked":
            source = _Chunked(self.rfile)
            left = 1 << 62
        else:
            left = int(self.headers["Content-Length"])
        while left and len(head := source.read(HEADER.size)) == HEADER.size:
            length, kind = HEADER.unpack(head)
            left -= HEADER.size + length - 1
            yield FrameType(kind), source.read(length - 1)

    def _pass(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        size = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(size)) if size else None
        try:
            self._answer(200, self.server.client.call(self.command, self.path, body))
        except EnarxError as e:
            self._answer(503, {"error": {"code": e.code, "message": e.message, "hint": e.hint}})

    def _answer(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        return


class _Chunked:
    """A chunked request body that is read like a file."""

    def __init__(self, source: Any) -> None:
        self._source, self._left, self._over = source, 0, False

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and not self._over:
            if not self._left:
                self._left = int(self._source.readline().strip() or b"0", 16)
                if not self._left:
                    self._over = True
                    self._source.readline()
                    break
            piece = self._source.read(min(size - len(data), self._left))
            data, self._left = data + piece, self._left - len(piece)
            if not self._left:
                self._source.readline()
        return data


class Proxy(ThreadingHTTPServer):
    """`to_keep` and `to_tenant` map each frame to the frames that are forwarded, or raise Cut. `asked` are all other requests."""

    daemon_threads = True

    def __init__(self, daemon: Daemon) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = daemon
        self.client = HostClient(Endpoint(url=daemon.url))
        self.asked: list[str] = []
        self.to_keep: Mangle = lambda *given: [given]
        self.to_tenant: Mangle = lambda *given: [given]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def deploy(
        self, *arguments: str | Path, stdin: bytes = b"", patience: float = 3
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the real `enarx deploy` against this host, with shorter timeouts than usual."""
        where = ("--host", self.url, "--simulated-root", self.behind.root)
        return self.enarx("deploy", *where, *arguments, stdin=stdin, patience=patience)

    def enarx(
        self, *arguments: str | Path, stdin: bytes = b"", patience: float = 3
    ) -> subprocess.CompletedProcess[bytes]:
        code = (
            "from enarx.tenant import delivering, deploy; from enarx.cli.main import script; "
            f"delivering.admit.__kwdefaults__['patience'] = deploy.attest.__kwdefaults__['patience'] = {patience}; script()"
        )
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            env=environment(self.behind.home),
        )

    def close(self) -> None:
        self.shutdown()
        self.server_close()
