"""A host that an attacker wrote: it records requests, and its answers are a list of bytes."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

Script = Callable[[bytes], "bytes | Iterable[bytes]"]
RESET = b"\0reset"
CLOSE = b"\0close"
"""Used in place of a piece of an answer: reset the connection, or close it."""


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return head.encode() + b"\r\n" + body


def says(value: object, status: str = "200 OK") -> bytes:
    return answer(json.dumps(value).encode(), status)


class Rogue:
    """Listens on a loopback port or a Unix socket. `script` returns the answer to each request."""

    def __init__(self, script: Script, path: str = "") -> None:
        self.requests: list[bytes] = []
        self._script = script
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(path or ("127.0.0.1", 0))
        self._listener.listen(64)
        self.url = f"unix://{path}" if path else f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as source:
            while request := self._request(source):
                self.requests.append(request)
                found = self._script(request)
                for piece in [found] if isinstance(found, bytes) else found:
                    if piece == RESET:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        return
                    if piece == CLOSE:
                        return
                    connection.sendall(piece)

    def _request(self, source: Any) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = source.readline()
            if not line:
                return b""
            head += line
        size = next((int(x.split(b":")[1]) for x in head.splitlines() if x.lower().startswith(b"content-length")), 0)
        return head + source.read(size)

    def close(self) -> None:
        self._listener.close()


def slowly(piece: bytes, seconds: float) -> Iterable[bytes]:
    """Yield the bytes one by one, spread over some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield piece
        time.sleep(0.05)
