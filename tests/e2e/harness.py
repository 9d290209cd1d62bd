"""Running the real command and the real daemon, each test in directories of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from enarx.tenant.http import Endpoint, HostClient

ENARX = [str(Path(sys.executable).parent / "enarx")]
PATIENCE = 60


def environment(home: Path) -> dict[str, str]:
    """An environment whose XDG directories lie under `home`."""
    names = {"XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ENARX_"))}
    return kept | {k: str(home / v) for k, v in names.items()}


def enarx(
    home: Path, *arguments: str | Path, stdin: bytes = b"", check: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run one command to its end."""
    found = subprocess.run(
        [*ENARX, *map(str, arguments)], input=stdin, capture_output=True, timeout=PATIENCE, env=environment(home)
    )
    if check and found.returncode:
        raise AssertionError(f"{arguments}: {found.returncode}: {found.stderr.decode()}")
    return found


def run(home: Path, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`enarx run --simulate`."""
    return enarx(home, "run", "--simulate", *arguments, stdin=stdin)


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> object:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


def left(home: Path) -> list[str]:
    """Host processes whose command line names this home."""
    found = []
    for name in os.listdir("/proc"):
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if str(home).encode() in line and b"--state" in line:
            found.append(name)
    return found


def session_file(home: Path, keep: str) -> Path:
    """The saved session with a Keep."""
    files = (home / "state" / "enarx" / "sessions").iterdir()
    (found,) = (path for path in files if json.loads(path.read_text())["keep"] == keep)
    return found


class Daemon:
    """`enarx host serve` with a state directory and (without `--port`) a socket of its own.

    It can be killed and started again.
    """

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.state = home / "host"
        self.log = home / "host.log"
        self._options = options if "--port" in options else ("--socket", str(home / "host.sock"), *options)
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.root = ""

    def start(self) -> Daemon:
        """Until it listens."""
        before = self.log.stat().st_size if self.log.exists() else 0
        command = [*ENARX, "host", "serve", "--state", str(self.state), *self._options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stderr=log, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment(self.home)
            )
        listening = until(lambda: self._listening(before), "the daemon to listen")
        self.url, self.root = listening["url"], listening["simulated_root"]  # type: ignore[index]
        until(self._healthy, "the daemon to answer")
        return self

    def _healthy(self) -> bool:
        try:
            return self._ask("GET", "/healthz") == 200
        except OSError:
            return False

    def _ask(self, method: str, path: str) -> int:
        connection = HostClient(Endpoint(url=self.url)).connect()
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()

    def _listening(self, after: int) -> dict[str, str] | None:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        for line in self.log.read_bytes()[after:].splitlines():
            event = json.loads(line)
            if event["event"] == "listening":
                return event
        return None

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; its Keeps go on."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def deploy(self, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """`enarx deploy` to it."""
        where = ("--host", self.url, "--simulated-root", self.root)
        return enarx(self.home, "deploy", *where, *arguments, stdin=stdin)

    def keep(self, action: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """`enarx keep ...` at it."""
        return enarx(self.home, "keep", action, *arguments, "--host", self.url)

    def keeps(self) -> dict[str, str]:
        """State of each Keep by id."""
        listed = json.loads(self.keep("list", "--json").stdout)
        return {keep["id"]: keep["state"] for keep in listed}

    def clean(self) -> None:
        """End everything, Keeps too."""
        if self.process is None:
            return
        if self.process.poll() is not None and any(self.state.glob("keeps/*")):
            self.start()  # its Keeps have gone on
        if self.process.poll() is None:
            for keep in self.keeps():
                self._ask("DELETE", f"/v1/keeps/{keep}?force=true")  # a session may still name the port before
            self.end()
