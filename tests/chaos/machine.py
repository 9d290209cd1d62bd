"""The machine under test: a daemon with a small disk and few descriptors, and all of its processes.

They run from a path of their own, a symbolic link to the source, so that their command lines tell them from those of other
tests, and nothing can be left behind unnoticed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import enarx
from enarx.host import cgroups
from tests.e2e.harness import ENARX, PATIENCE, Daemon, environment, until

DISK = 48 << 20
DESCRIPTORS = 256
ROLES = {
    "enarx.host.launcher.process": "launcher",
    "enarx.simulator.main": "simulator",
    "enarx.keep.boot.process": "zygote",
}


class Machine(Daemon):
    """A daemon and its processes under `home`."""

    def __init__(self, home: Path, *options: str) -> None:
        super().__init__(home, *options)
        self.code = home / "code"
        self.code.symlink_to(Path(enarx.__file__).parent.parent)
        self.small_disk = self._mount()

    def _mount(self) -> bool:
        """Mount a small file system for the state; False if this user may not."""
        self.state.mkdir(mode=0o700)
        if os.geteuid():
            return False
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "chaos", str(self.state)]
        return subprocess.run(command, capture_output=True).returncode == 0

    def unmount(self) -> None:
        """Unmount the small disk."""
        if self.small_disk:
            subprocess.run(["umount", "-l", str(self.state)], check=True)

    def start(self) -> Daemon:
        """Start the daemon from this machine's own path, with few descriptors."""
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
        """The role of each process of this machine, by number."""
        found: dict[int, tuple[str, int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    self._look(int(name), found)
        return {pid: _role(pid, found) for pid in found}

    def _look(self, pid: int, found: dict[int, tuple[str, int]]) -> None:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        if str(self.code) not in command:
            return
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if status["State"][0] == "Z":
            return
        kind = next((role for part, role in ROLES.items() if part in command), "other")
        *_, inner = map(int, status["NSpid"].split())
        if kind == "zygote" and inner != pid:  # in a namespace of its own, where the keeper comes first
            kind = {1: "keeper", 2: "compiler", 3: "runner"}.get(inner, "attester")
        found[pid] = (kind, int(status["PPid"]))

    def bugs(self) -> list[str]:
        """Log lines that report a fault of the program, or are not JSON."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if _is_bug(line)]

    def descriptors(self) -> int:
        """How many the daemon has open; 0 if this user may not look."""
        assert self.process is not None
        if os.geteuid():
            return 0
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cgroups(self) -> list[str]:
        """The cgroups of this machine's Keeps."""
        place = cgroups.find(f"look{os.getpid()}")
        prefix = f"enarx-{cgroups.scope(str(self.state / 'hardware'))}-"
        return [name for base in place._bases for name in os.listdir(base) if name.startswith(prefix)]

    def kill(self, pid: int) -> None:
        """Kill a process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_daemon(self) -> None:
        """Kill the daemon, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)


def _is_bug(line: str) -> bool:
    try:
        event = json.loads(line)
    except ValueError:
        return True
    return event["event"] in ("bug", "supervisor-died")


def _role(pid: int, found: dict[int, tuple[str, int]]) -> str:
    """Tell supervisors from the launcher, whose command line they share: the launcher is the daemon's child."""
    kind, parent = found[pid]
    return "supervisor" if kind == "launcher" and found.get(parent, ("",))[0] != "other" else kind
