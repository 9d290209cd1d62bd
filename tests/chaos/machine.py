"""The machine that chaos visits: a daemon with a small disk and few descriptors, and every process that is its.

All of its processes run from a copy of the source's path that nobody else uses, a symbolic link, so that they can be told
from those of other tests by their command lines, and nothing can be left behind unseen.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import enarx
from tests.e2e.harness import ENARX, PATIENCE, Daemon, environment, until

DISK = 48 << 20
DESCRIPTORS = 256
INSIDE = {1: "keeper", 2: "compiler", 3: "runner"}
"""Roles by the number that each of them has in its Keep, in the order in which they are forked."""

ROLES = {"enarx.host.launcher": "launcher", "enarx.hardware.main": "hardware", "enarx.keep.zygote": "zygote"}


class Machine(Daemon):
    """A daemon, and the processes under `home`. `limits` are put on the daemon, and so on all that it starts."""

    def __init__(self, home: Path, *options: str) -> None:
        super().__init__(home, *options)
        self.code = home / "code"
        self.code.symlink_to(Path(enarx.__file__).parent.parent)
        self.small_disk = self._mount()

    def _mount(self) -> bool:
        """A file system of its own for the state, where this user may mount."""
        self.state.mkdir(mode=0o700)
        if os.geteuid():
            return False
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "chaos", str(self.state)]
        return subprocess.run(command, capture_output=True).returncode == 0

    def unmount(self) -> None:
        """Let go of the small disk."""
        if self.small_disk:
            subprocess.run(["umount", "-l", str(self.state)], check=True)

    def start(self) -> Daemon:
        """As Daemon, from the code that is this machine's alone, with few descriptors."""
        before = self.log.stat().st_size if self.log.exists() else 0
        command = ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *ENARX, "host", "serve"]
        command += ["--state", str(self.state), *self._options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stderr=log,
                stdout=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                env=environment(self.home) | {"PYTHONPATH": str(self.code)},
            )
        listening = until(lambda: self._listening(before), "the daemon to listen")
        self.url, self.root = listening["url"], listening["simulated_root"]  # type: ignore[index]
        until(self._healthy, "the daemon to answer")
        return self

    def processes(self) -> dict[int, str]:
        """Role of each process of this machine but the daemon itself."""
        found: dict[int, tuple[str, int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    self._look(int(name), found)
        return {pid: _role(pid, found) for pid in found}

    def _look(self, pid: int, found: dict[int, tuple[str, int]]) -> None:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        if str(self.code) in command and state != "Z":
            kind = next((role for part, role in ROLES.items() if part in command), "other")
            found[pid] = (INSIDE.get(_number_inside(pid), kind), int(parent))

    def bugs(self) -> list[str]:
        """Lines of the log that say what nobody had foreseen, or that are none of the log's own."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if _is_bug(line)]

    def descriptors(self) -> int:
        """Those that the daemon has open; 0 where nobody can see them, for it is not dumpable and this is not root."""
        assert self.process is not None
        if os.geteuid():
            return 0
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def kill(self, pid: int) -> None:
        """At once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_daemon(self) -> None:
        """At once, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)


def _is_bug(line: str) -> bool:
    try:
        event = json.loads(line)
    except ValueError:
        return True
    return event["event"] in ("bug", "supervisor-died")


def _number_inside(pid: int) -> int:
    """The number of a process in its Keep's own namespace; 0 outside of Keeps."""
    numbers = re.search(r"^NSpid:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    inside = numbers[1].split()[1:] if numbers else []
    return int(inside[-1]) if inside else 0


def _role(pid: int, found: dict[int, tuple[str, int]]) -> str:
    """Supervisors are forked from the launcher, and share its command line. So does what the zygote forks a Keep from."""
    kind, parent = found[pid]
    above = found.get(parent, ("", 0))
    if kind == "launcher":
        return "launcher" if above[0] == "" and parent != 1 else "supervisor"
    if kind == "zygote" and above[0] == "zygote":
        return "launching"
    return kind
