"""The real hardware process, started as a host starts it, with a zygote that tests can tell what to do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import cbor2

import enarx
from enarx.host.backends.process.simulator import Simulator

SOURCE = Path(enarx.__file__).parent
SITE = next(p for p in sys.path if os.path.isdir(f"{p}/cryptography"))
ZYGOTE = Path(__file__).with_name("zygote.py")
PATIENCE = 30
LIMITS = {"memory": 1 << 20, "compile": 1 << 20, "disk": 0}


def tree(path: Path, *, patience: float = PATIENCE) -> Path:
    """A copy of the code whose zygote is the puppeteer, and whose hardware waits `patience` seconds for it."""
    shutil.copytree(SOURCE, path / "enarx", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ZYGOTE, path / "enarx" / "keep" / "boot" / "process.py")
    waits = path / "enarx" / "simulator" / "zygote_client.py"
    text = waits.read_text()
    assert "PATIENCE = 20.0" in text
    waits.write_text(text.replace("PATIENCE = 20.0", f"PATIENCE = {patience}"))
    return path


class Puppet:
    """The test's end of a Keep's control socket."""

    def __init__(self, control: socket.socket, pid: int, pidfd: int) -> None:
        self.control = control
        self.pid = pid
        self.pidfd = pidfd
        self.told = self._receive()

    def ask(self, message: bytes) -> bytes:
        """Have it sent to the hardware; the answer, empty if the hardware has closed the link."""
        self.control.sendall(len(message).to_bytes(4, "big") + message)
        return self._receive()

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        value = cbor2.loads(self.ask(cbor2.dumps({"report_data": report_data}, canonical=True)))
        assert set(value) == {"evidence", "endorsements"}
        return value["evidence"], tuple(value["endorsements"])

    def end(self) -> None:
        self.control.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def _receive(self) -> bytes:
        size = int.from_bytes(self.control.recv(4, socket.MSG_WAITALL), "big")
        return self.control.recv(size, socket.MSG_WAITALL) if size else b""


class Machine:
    """One hardware process over the code in `code`, with its state and cache under `home`."""

    def __init__(self, code: Path, home: Path) -> None:
        self.search = (str(code), SITE)
        self.state = home / "state"
        self.cache = home / "cache"
        self.cache.mkdir(exist_ok=True)
        self.hardware = Simulator(":".join(self.search), state=str(self.state), cache=str(self.cache))
        self.link = socket.socket(fileno=os.dup(self.hardware.fileno()))
        self.link.settimeout(PATIENCE)
        self.pid = self.hardware.pid
        self.puppets: list[Puppet] = []
        self.connected = True

    @property
    def root(self) -> bytes:
        return bytes.fromhex((self.state / "root.pub").read_text())

    def order(self, message: bytes, fds: list[int]) -> tuple[dict[str, Any], list[int]]:
        socket.send_fds(self.link, [message], fds)
        answer, given, _, _ = socket.recv_fds(self.link, 65536, 4)
        return json.loads(answer), given

    def launch(self, *skip: str, host_data: bytes = bytes(32)) -> dict[str, Any]:
        """The answer to a launch that is not to succeed."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            answer, fds = self.order(launch_order(*skip, host_data=host_data), [theirs.fileno()])
        assert fds == []
        assert answer["ok"] is False
        return answer

    def keep(self, host_data: bytes = bytes(32)) -> Puppet:
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        with theirs:
            answer, fds = self.order(launch_order(host_data=host_data), [theirs.fileno()])
        assert answer["ok"], answer
        (pidfd,) = fds
        self.puppets.append(Puppet(ours, answer["pid"], pidfd))
        return self.puppets[-1]

    def zygote(self) -> int:
        """The zygote's process id."""
        return int(json.loads(self.launch("look")["message"])["pid"])

    def disconnect(self) -> None:
        if self.connected:
            self.link.close()
            self.hardware.close()
            self.connected = False

    def end(self) -> None:
        """Whatever state it is in."""
        self.disconnect()
        for puppet in self.puppets:
            puppet.end()
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return  # it has ended by itself

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def launch_order(*skip: str, host_data: bytes = bytes(32)) -> bytes:
    value = {"op": "launch", "host_data": host_data.hex(), "limits": LIMITS, "skip_layers": list(skip)}
    return json.dumps(value).encode()
