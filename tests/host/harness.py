"""Shared by the tests of the host: its real processes, over a simulator of the tests' own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import enarx
from enarx.host import backends
from enarx.host.state import stored

SOURCE = str(Path(enarx.__file__).parent.parent)
PATHS = f"{Path(__file__).parent / 'fake'}:{SOURCE}"
REFUSES, DIES, HANGS, SLOW = 1001, 1002, 1003, 1004
MEMORY, COMPILE, DISK = 64 << 20, 64 << 20, 16 << 20
MAX_FRAME = (1 << 20) + (64 << 10)
ZEROS = "0" * 64
KIND = backends.default()


def frame(order: bytes, rest: bytes = b"") -> bytes:
    return (len(order) + len(rest) + 1).to_bytes(4, "big") + b"\x01" + order + rest


def produce(count: int, size: int, *, results: bool = False) -> bytes:
    return frame(b"F" if results else b"P", struct.pack(">II", count, size))


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for the first true value; fails the test if none comes in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def processes(mark: str) -> list[int]:
    """The processes whose command line contains `mark`: launchers, supervisors, simulators and Keeps of one directory."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
                if mark in command and state != "Z":
                    found.append(int(name))
    return found


def end_all(mark: str) -> None:
    """Kill every process that a test has left behind, until none is left: a killed launcher may just have forked."""

    def ended() -> bool:
        left = processes(mark)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    eventually(ended)


class Connection:
    """A connection to a supervisor's socket."""

    def __init__(self, path: str, op: str, **more: object) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        try:
            eventually(lambda: self._connected(path))
        except BaseException:
            self.socket.close()
            raise
        self.file: BinaryIO = self.socket.makefile("rb")
        with contextlib.suppress(BrokenPipeError):  # it has said why
            self.socket.sendall(json.dumps({"op": op, **more}).encode() + b"\n")

    def _connected(self, path: str) -> bool:
        """Connect; False while the queue of connections is full."""
        try:
            self.socket.connect(path)
        except BlockingIOError:
            return False
        return True

    def answer(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.file.readline())
        return value

    def entries(self) -> Iterator[tuple[int, bytes]]:
        while head := self.file.read(12):
            number, length = struct.unpack(">QI", head)
            yield number, self.file.read(length)

    def close(self) -> None:
        self.file.close()
        self.socket.close()


class Side:
    """A client of one supervisor's socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    def ask(self, op: str, **more: object) -> dict[str, Any]:
        connection = Connection(self.path, op, **more)
        try:
            return connection.answer()
        finally:
            connection.close()

    def open(self, op: str, **more: object) -> Connection:
        """Open a connection; waits while the supervisor has not yet noticed that the last one has ended."""

        def tried() -> Connection | None:
            connection = Connection(self.path, op, **more)
            answer = connection.answer()
            if answer["ok"]:
                return connection
            connection.close()
            assert answer["code"] == "busy", answer
            return None

        found: Connection = eventually(tried)
        return found

    def give(self, *frames: bytes) -> dict[str, Any]:
        connection = self.open("input")
        connection.socket.sendall(b"".join(frames))
        connection.socket.shutdown(socket.SHUT_WR)
        answer = connection.answer()
        connection.close()
        return answer

    def take(self, count: int, start: int = 0) -> list[tuple[int, bytes]]:
        connection = self.open("output", **{"from": start, "follow": True})
        found = [entry for _, entry in zip(range(count), connection.entries(), strict=False)]
        connection.close()
        return found


def spawn(module: str, *arguments: str, fds: tuple[int, ...], stderr: int = 2, blocked: tuple[int, ...] = ()) -> int:
    """Start a process as the host does: `fds` become 3, 4, ..., and it begins with the signals of `blocked` blocked."""
    boot = f"import sys; sys.path[:0] = sys.argv[1].split(':'); from {module} import main; main()"
    high = [os.dup(fd) for fd in fds]
    actions: list[Any] = [(os.POSIX_SPAWN_DUP2, fd, i) for i, fd in enumerate(high, 3)]
    actions += [(os.POSIX_SPAWN_DUP2, stderr, 2)]
    command = [sys.executable, "-I", "-S", "-c", boot, PATHS, *arguments]
    try:
        return os.posix_spawn(sys.executable, command, {"LANG": "C.UTF-8"}, file_actions=actions, setsigmask=blocked)
    finally:
        for fd in high:
            os.close(fd)


class Stored:
    """What an ended supervisor has left on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def words(self) -> dict[str, Any]:
        """Its last report; waits for it."""

        def told() -> dict[str, Any] | None:
            value: dict[str, Any] = json.loads((self.directory / "meta.json").read_text())
            return value if value["state"] == "ended" and not (self.directory / "sock").exists() else None

        found: dict[str, Any] = eventually(told)
        return found

    def entries(self, start: int = 0) -> list[tuple[int, bytes]]:
        directory = os.open(self.directory, os.O_RDONLY)
        try:
            data = b"".join(stored.pieces(directory, stored.segments(directory), start))
        finally:
            os.close(directory)
        found = []
        while data:
            number, length = struct.unpack_from(">QI", data)
            found.append((number, data[12 : 12 + length]))
            data = data[12 + length :]
        return found


class Launcher:
    """A launcher process, used as the daemon uses it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "hardware").mkdir()
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link.settimeout(20)
        with theirs:
            self.pid = spawn(
                "enarx.host.launcher.process",
                "--backends",
                f"{root}/hardware",
                "--cache",
                str(root),
                fds=(theirs.fileno(),),
            )

    def order(self, name: str, **more: object) -> dict[str, Any]:
        directory = self.root / name
        directory.mkdir(exist_ok=True)
        order = {
            "directory": str(directory),
            "kind": KIND,
            "host_data": ZEROS,
            "memory": MEMORY,
            "disk": DISK,
            "skip_layers": [],
            "compile": COMPILE,
            "stored_output": 64 << 20,
            "unused": 0.0,
        }
        self.link.send(json.dumps({**order, **more}).encode())
        value: dict[str, Any] = json.loads(self.link.recv(65536))
        return value

    def keep(self, name: str, **more: object) -> Side:
        answer = self.order(name, **more)
        assert answer["ok"], answer
        return Side(f"{self.root}/{name}/sock")

    def close(self) -> None:
        self.link.close()
        os.waitpid(self.pid, 0)


DAEMON = """
import json, sys
from enarx.host.daemon import Options, serve
from enarx.host.keeps.bounds import Bounds
from enarx.host.http.limits import Limits
o = json.loads(sys.argv[1])
o["bounds"], o["limits"] = Bounds(**o["bounds"]), Limits(**o["limits"])
serve(Options(**{k: tuple(v) if isinstance(v, list) else v for k, v in o.items()}))
"""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def launch_body(memory: int = MEMORY, package: str | None = None) -> dict[str, Any]:
    return {"package_digest": package, "memory": memory, "compile": COMPILE, "disk": DISK}


class Daemon:
    """A daemon process, on a Unix socket or, with an `address`, on TCP. Options, also those of its bounds, go by name.

    `limits` are those of its connections that are not as usual; `descriptors`, if given, all that it may have.
    """

    BOUNDS = {
        "keeps": 100,
        "memory": 0,
        "disk": 0,
        "stored_output": 64 << 20,
        "pool": 0,
        "tenant_keeps": 0,
        "tenant_memory": 0,
        "finished": 10_000,
        "stored_total": 0,
        "unused": 300.0,
    }

    def __init__(self, state: Path, *, descriptors: int = 0, **options: Any) -> None:
        self.state = state
        self.descriptors = descriptors
        (state / "hardware").mkdir(parents=True, exist_ok=True)
        bounds = {**self.BOUNDS, **{k: options.pop(k) for k in list(options) if k in self.BOUNDS}}
        self.options = {
            "state": str(state),
            "backends_state": str(state / "hardware"),
            "cache": str(state),
            "paths": PATHS,
            "socket": "" if options.get("address") else str(state / "host.sock"),
            "socket_group": "",
            "address": "",
            "port": 0,
            "token_files": [],
            "limits": {},
            "tls_certificate": "",
            "tls_key": "",
            "client_ca": "",
            "skip_layers": [],
            **options,
            "bounds": bounds,
        }
        self.sockets: list[socket.socket] = []
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", DAEMON, json.dumps(self.options)]
        with (self.state / "daemon.log").open("ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=self._limit)

        def listening() -> list[str]:
            assert self.process.poll() is None, self.text()[begin:]
            lines = [json.loads(line) for line in self.text()[begin:].splitlines() if line.endswith("}")]
            return [line["url"] for line in lines if line["event"] == "listening"]

        self.urls = eventually(listening, 20)
        self.port = int(self.urls[-1].rpartition(":")[2]) if self.options["address"] else 0

    def _limit(self) -> None:
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def text(self) -> str:
        return (self.state / "daemon.log").read_text()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def connect(self, timeout: float = 20) -> http.client.HTTPConnection:
        if self.options["socket"]:
            return UnixConnection(str(self.options["socket"]), timeout)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def raw(self, data: bytes = b"") -> socket.socket:
        """A connection on which `data` was sent unchanged; closed after the test."""
        if self.options["socket"]:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(20)
            self.sockets.append(connection)
            connection.connect(str(self.options["socket"]))
        else:
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
            self.sockets.append(connection)
        connection.sendall(data)
        return connection

    def status(self, name: str) -> int:
        """The number in a line of /proc/PID/status, such as VmRSS."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split(f"{name}:")[1].split()[0])

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
        is_json = answer.getheader("content-type", "").startswith("application/json")
        return answer.status, json.loads(text) if is_json else text

    def launch(self, memory: int = MEMORY, package: str | None = None) -> str:
        status, value = self.call("POST", "/v1/keeps", launch_body(memory, package))
        assert status == 201, value
        return str(value["id"])

    def give(self, keep: str, *frames: bytes) -> tuple[int, Any]:
        return self.call("POST", f"/v1/keeps/{keep}/input", b"".join(frames))

    def take(self, keep: str, count: int, start: int = 0) -> list[tuple[int, bytes]]:
        connection = self.connect()
        connection.request("GET", f"/v1/keeps/{keep}/output?from={start}")
        answer = connection.getresponse()
        assert answer.status == 200
        found = []
        while len(found) < count and (head := answer.read(12)):
            number, length = struct.unpack(">QI", head)
            found.append((number, answer.read(length)))
        connection.close()
        return found

    def info(self, keep: str) -> dict[str, Any]:
        status, value = self.call("GET", f"/v1/keeps/{keep}")
        assert status == 200, value
        found: dict[str, Any] = value
        return found

    def keeps(self) -> dict[str, str]:
        return {k["id"]: k["state"] for k in self.call("GET", "/v1/keeps")[1]["keeps"]}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


def readable(fd: int, seconds: float) -> bool:
    return bool(select.select([fd], [], [], seconds)[0])
