"""Sockets that a service manager passes to the daemon, as systemd does: used like its own, and nothing else is taken."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import ENARX, environment, until
from tests.host.harness import UnixConnection, processes
from tests.host.test_access import ASK, STRANGER, as_root

TOKEN = "0123456789abcdef-secret"

EXECUTE = """
import fcntl, os, sys
fds = [int(fd) for fd in sys.argv[1].split(",") if fd]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in fds]
for number, fd in enumerate(high, 3):
    os.dup2(fd, number)  # inheritable, as systemd leaves them
os.environ["LISTEN_PID"] = sys.argv[2] or str(os.getpid())
os.environ["LISTEN_FDS"] = sys.argv[3] or str(len(fds))
os.environ["LISTEN_FDNAMES"] = ":".join(["enarx.socket"] * len(fds))
os.execv(sys.argv[4], sys.argv[4:])
"""


class Activated:
    """`enarx host serve`, started as systemd starts it: the descriptors are 3, 4, ..."""

    def __init__(
        self, home: Path, *sockets: Any, options: tuple[str, ...] = (), pid: str = "", count: str = ""
    ) -> None:
        self.sockets = len(sockets)
        fds = [each if isinstance(each, int) else each.fileno() for each in sockets]
        self.log = home / "host.log"
        serve = [*ENARX, "host", "serve", "--state", str(home / "host"), *options]
        command = [sys.executable, "-I", "-c", EXECUTE, ",".join(map(str, fds)), pid, count, *serve]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stderr=log, stdin=subprocess.DEVNULL, env=environment(home), pass_fds=fds
            )

    def listening(self) -> list[str]:
        """The URLs where it listens, once it does."""

        def told() -> list[str]:
            assert self.process.poll() is None, self.log.read_text()
            events = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
            urls = [event["url"] for event in events if event["event"] == "listening"]
            return urls if len(urls) >= self.sockets else []

        urls: Any = until(told, "the daemon to listen")
        return list(urls)

    def refused(self) -> str:
        """What it says when it exits with 125."""
        assert self.process.wait(30) == 125
        text = self.log.read_text()
        assert text.startswith("error: ")
        assert "hint: " in text
        return text

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture
def starting(home: Path) -> Iterator[Any]:
    """Starts daemons, and ends them."""
    with ExitStack() as stack:

        def start(*sockets: Any, **more: Any) -> Activated:
            found = Activated(home, *sockets, **more)
            stack.callback(found.end)
            return found

        yield start


def unix(path: Path, mode: int = 0o600) -> socket.socket:
    path.parent.mkdir(exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(mode)
    listener.listen()
    return listener


def tcp() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def status(connection: http.client.HTTPConnection, **headers: str) -> int:
    try:
        connection.request("GET", "/v1/keeps", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_client_that_came_before_the_daemon_is_served(home: Path, starting: Any) -> None:
    path = home / "run" / "host.sock"
    with unix(path) as listener:
        early = UnixConnection(str(path), 30)
        early.connect()
        d = starting(listener)
        assert status(early) == 200
        assert d.listening() == [f"unix://{path}"]
        assert status(UnixConnection(str(path), 30)) == 200
        d.end()
        assert d.process.returncode == 0
        assert stat.S_ISSOCK(path.lstat().st_mode)  # it is systemd's
        again = starting(listener)
        assert status(UnixConnection(str(path), 30)) == 200
        again.end()


def test_several_sockets_and_the_credential_of_each(home: Path, starting: Any) -> None:
    token = home / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with unix(home / "host.sock") as one, tcp() as two:
        port = two.getsockname()[1]
        d = starting(one, two, options=("--token-file", str(token)))
        assert d.listening() == [f"unix://{home / 'host.sock'}", f"http://127.0.0.1:{port}"]
        assert status(UnixConnection(str(home / "host.sock"), 30)) == 200
        assert status(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert status(http.client.HTTPConnection("127.0.0.1", port, timeout=30), **bearer) == 200


@as_root
def test_the_mode_of_the_file_admits_nobody(home: Path, starting: Any) -> None:
    home.chmod(0o755)
    path = home / "host.sock"
    with unix(path, 0o666) as listener:
        starting(listener).listening()
        for uid, wanted in ((0, "200"), (STRANGER, "403")):
            command = [sys.executable, "-I", "-c", ASK, str(path), str(uid), str(uid), ""]
            found = subprocess.run(command, capture_output=True, text=True, cwd="/")
            assert found.stdout.strip() == wanted, found.stderr


def test_tcp_without_a_credential_is_refused(starting: Any) -> None:
    with tcp() as listener:
        assert "every user and program" in starting(listener).refused()


@pytest.mark.parametrize("option", ["--socket=x", "--address=127.0.0.1", "--port=0"])
def test_sockets_of_both_kinds_are_refused(option: str, home: Path, starting: Any) -> None:
    with unix(home / "host.sock") as listener:
        assert "a service manager passed the sockets" in starting(listener, options=(option,)).refused()


def test_variables_for_another_process_are_ignored(home: Path, starting: Any) -> None:
    own = home / "own.sock"
    with unix(home / "host.sock") as listener:
        d = starting(listener, pid="1", options=("--socket", str(own)))
        assert d.listening() == [f"unix://{own}"]


def test_no_child_inherits_them(home: Path, starting: Any) -> None:
    with unix(home / "host.sock") as listener:
        d = starting(listener)
        d.listening()
        inode = f"socket:[{os.fstat(listener.fileno()).st_ino}]"

        def holds(pid: int) -> bool:
            return any(os.readlink(entry) == inode for entry in Path(f"/proc/{pid}/fd").iterdir())

        children: Any = until(lambda: set(processes(str(home))) - {d.process.pid}, "the launcher to start")
        assert holds(d.process.pid)
        for pid in children:
            assert not holds(pid)
            assert b"LISTEN_" not in Path(f"/proc/{pid}/environ").read_bytes()


def datagram(home: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.bind(str(home / "datagram.sock"))
    return found


def connected(_: Path) -> socket.socket:
    found, peer = socket.socketpair()
    peer.close()
    return found


def abstract(_: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.bind(b"\0enarx-test-" + os.urandom(8).hex().encode())
    found.listen()
    return found


def shared(home: Path) -> socket.socket:
    (home / "shared").mkdir()
    (home / "shared").chmod(0o777)
    return unix(home / "shared" / "host.sock")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (datagram, "descriptor 3, which was passed: not a listening stream socket"),
        (connected, "descriptor 3, which was passed: not a listening stream socket"),
        (lambda home: (home / "file").open("wb"), "descriptor 3, which was passed: Socket operation on non-socket"),
        (abstract, "wanted a socket with an absolute path"),
        (shared, "others can write to its directory"),
    ],
    ids=["datagram", "connected", "file", "abstract", "shared directory"],
)
def test_anything_else_is_refused(make: Any, message: str, home: Path, starting: Any) -> None:
    with make(home) as passed:
        assert message in starting(passed).refused()


@pytest.mark.parametrize("count", ["0", "-1", "x", "65", "1" * 5000, "\u0661"])
def test_a_count_that_is_none_is_refused(count: str, home: Path, starting: Any) -> None:
    with unix(home / "host.sock") as listener:
        assert "LISTEN_FDS is" in starting(listener, count=count).refused()


def test_more_than_was_passed_is_refused(home: Path, starting: Any) -> None:
    with unix(home / "host.sock") as listener:
        assert "descriptor 4" in starting(listener, count="2").refused()
