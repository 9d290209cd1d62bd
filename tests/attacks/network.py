"""A real daemon on TCP with a token, and clients without one. Their cost to the daemon is read from /proc."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.harness import Daemon, enarx

TOKEN = "0123456789abcdef0123456789abcdef"
MIB = 1 << 20


class Target:
    """The daemon, and raw connections to it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.token = home / "token"
        self.token.write_text(TOKEN)
        self.token.chmod(0o600)
        self.daemon = Daemon(home, "--port", "0", "--socket", str(home / "s"), "--token-file", str(self.token)).start()
        self.address = urlsplit(self._tcp())
        self.sockets: list[socket.socket] = []

    def _tcp(self) -> str:
        (line,) = [line for line in self.daemon.log.read_text().splitlines() if '"url": "http://' in line]
        return line.partition('"url": "')[2].partition('"')[0]

    def raw(self, data: bytes = b"", source: str = "") -> socket.socket:
        """Return a connection, from the loopback address `source` if there is one, on which `data` was sent."""
        to = (self.address.hostname or "", self.address.port or 0)
        connection = socket.create_connection(to, timeout=20, source_address=(source, 0) if source else None)
        self.sockets.append(connection)
        with contextlib.suppress(OSError):  # the daemon may have ended it already
            connection.sendall(data)
        return connection

    def ask(self, data: bytes) -> bytes:
        """Return everything that the daemon sends until it closes the connection or falls silent."""
        connection = self.raw(data)
        connection.settimeout(3)
        found = b""
        with contextlib.suppress(OSError):
            while piece := connection.recv(MIB):
                found += piece
        connection.close()
        return found

    def memory(self, name: str = "VmRSS") -> int:
        """Return the daemon's resident memory in bytes."""
        assert self.daemon.process is not None
        text = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        return int(text.split(f"{name}:")[1].split()[0]) << 10

    def healthy(self) -> bool:
        """Return whether the daemon answers at once a client without a token."""
        begun = time.monotonic()
        answer = self.ask(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return answer.startswith(b"HTTP/1.1 200 OK") and time.monotonic() - begun < 2

    def enarx(self, *arguments: str | Path) -> int:
        """Return the exit code of a command by the user who runs the daemon."""
        return enarx(self.home, *arguments, "--host", f"unix://{self.home}/s").returncode


@contextlib.contextmanager
def target() -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="enarx-", ignore_cleanup_errors=True) as path:
        found = Target(Path(path))
        try:
            yield found
        finally:
            for connection in found.sockets:
                connection.close()
            found.daemon.end()
