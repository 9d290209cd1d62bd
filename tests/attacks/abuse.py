"""A real daemon with real Keeps, and the means of a hostile client or of a fault on its machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enarx.formats.wire import HEADER
from enarx.tenant.http import Endpoint, HostClient
from tests.e2e.harness import Daemon

SIZE = 1 << 20
ENTRY = struct.Struct(">QIB")


class Host:
    """A daemon, its client, and the processes behind its Keeps."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.keeps = daemon.state / "keeps"

    @property
    def client(self) -> HostClient:
        return HostClient(Endpoint(url=self.daemon.url))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return status and answer. A body that is neither bytes nor an iterator is sent as JSON."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        with contextlib.closing(self.client.connect()) as connection:
            connection.request(method, f"/v1/{path}", data, headers, encode_chunked=True)
            answer = connection.getresponse()
            text = answer.read()
        is_json = answer.getheader("content-type", "").startswith("application/json")
        return answer.status, json.loads(text) if is_json else text

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return the answer, after checking that it is not an error."""
        status, answer = self.ask(method, path, body, **headers)
        assert status < 300, answer
        return answer

    def error(self, method: str, path: str, body: Any = None, **headers: str) -> str:
        """Return the code of the host's error; empty if the request succeeded."""
        status, answer = self.ask(method, path, body, **headers)
        return answer["error"]["code"] if status >= 300 else ""

    def output(self, keep: str, start: int = 0) -> list[tuple[int, int, bytes]]:
        """Return all entries of the output so far: number, type, payload."""
        data, found = self.call("GET", f"keeps/{keep}/output?from={start}&follow=false"), []
        while data:
            number, length, kind = ENTRY.unpack_from(data)
            assert len(data) >= 12 + length
            found.append((number, kind, data[13 : 12 + length]))
            data = data[12 + length :]
        return found

    def launch(self) -> str:
        return str(self.call("POST", "keeps", {"memory": SIZE, "disk": SIZE})["id"])

    def states(self) -> dict[str, str]:
        return {keep["id"]: keep["state"] for keep in self.call("GET", "keeps")["keeps"]}

    def processes(self, keep: str) -> tuple[int, int]:
        """Return the process ids of the supervisor and of the Keep's first process."""
        info = self.call("GET", f"keeps/{keep}")
        return info["pid"], info["keep_pid"]

    def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.daemon.end(how)
        self.daemon.start()

    @contextlib.contextmanager
    def readers(self, keep: str, count: int) -> Iterator[None]:
        """Open connections that follow the Keep's output and never read it."""
        connections = [self.client.connect() for _ in range(count)]
        for connection in connections:
            connection.request("GET", f"/v1/keeps/{keep}/output")
            assert connection.getresponse().status == 200
        yield
        for connection in connections:
            connection.close()


def raw(kind: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a frame of any type, whose header may claim any length."""
    return HEADER.pack(len(payload) + 1 if length is None else length, kind) + payload


def descriptors(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/fd")


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
