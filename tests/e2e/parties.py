"""Several owners of data, each with directories of its own: a coordinator, two hospitals, an institute."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.harness import ENARX, Daemon, enarx, environment
from tests.house.test_invariants import ROOT

HOSPITALS = ROOT / "examples/hospitals"
NAMES = {"north": "North Hospital", "south": "South Hospital"}
RESULT = b"ward,patients,mean days,longest\n"


class Parties:
    """The four parties of examples/hospitals at one daemon. `home` of each is below that of the test."""

    def __init__(self, home: Path, daemon: Daemon, *, config: str = "") -> None:
        self.home, self.daemon = home, daemon
        self.work = home / "work"
        self.work.mkdir()
        for name in NAMES:
            public = enarx(self.of(name), "owner", "new", self.key(name), check=True).stdout
            (self.work / f"{name}.pub").write_bytes(public)
        enarx(self.of("institute"), "data", "key", self.work / "institute.key", check=True)
        (self.work / "Enarx.toml").write_text(config or (HOSPITALS / "Enarx.toml").read_text())
        (self.work / "stay.wasm").write_bytes((HOSPITALS / "stay.wasm").read_bytes())
        self.invitation = self.work / "invitation"

    def of(self, name: str) -> Path:
        """The home of a party, which shares no state with the others."""
        path = self.home / "parties" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def key(self, name: str) -> Path:
        return self.work / f"{name}.pem"

    def deploy(self, *more: str | Path, wasm: str = "stay.wasm") -> str:
        """Deploy and detach; returns the Keep's id."""
        done = self.daemon.deploy("--detach", "--invite", self.invitation, *more, self.work / wasm)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def sealing(self, name: str, directory: Path | None = None, *more: str | Path) -> list[str | Path]:
        """The arguments by which a hospital seals its part."""
        directory = HOSPITALS / name if directory is None else directory
        given = {"--key": self.key(name), "--simulated-root": self.daemon.root}
        return [
            "data",
            "seal",
            self.invitation,
            "--dir",
            f"{directory}::/{name}",
            "--yes",
            *_unless(more, given),
            *more,
        ]

    def seal(self, name: str, directory: Path | None = None, *more: str | Path) -> subprocess.CompletedProcess[bytes]:
        return enarx(self.of(name), *self.sealing(name, directory, *more))

    def begin(self, name: str, directory: Path | None = None, *more: str | Path) -> subprocess.Popen[bytes]:
        """Seal in a process that goes on."""
        return subprocess.Popen(
            [*ENARX, *map(str, self.sealing(name, directory, *more))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(self.of(name)),
        )

    def show(self, *more: str | Path) -> subprocess.CompletedProcess[bytes]:
        return enarx(self.of("north"), "data", "show", self.invitation, "--simulated-root", self.daemon.root, *more)

    def open(self, *more: str | Path) -> subprocess.CompletedProcess[bytes]:
        given = {"--key": self.work / "institute.key", "--simulated-root": self.daemon.root}
        return enarx(self.of("institute"), "data", "open", self.invitation, *_unless(more, given), *more)


def _unless(more: tuple[str | Path, ...], given: dict[str, str | Path]) -> Iterator[str | Path]:
    """The options of `given` that `more` does not have: a command takes each once."""
    for option, value in given.items():
        if option not in more:
            yield from (option, value)


def error(done: subprocess.CompletedProcess[bytes]) -> str:
    """The error that a command has printed."""
    return next(line for line in done.stderr.decode().splitlines() if line.startswith("error: "))
