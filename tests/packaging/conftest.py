"""The wheel, built as a release is, and environments that have it installed without this source tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tests.house.test_invariants import ROOT

BIN = Path(sys.executable).parent
UV = BIN / "uv"
PATIENCE = 90
UNREACHABLE = 10
"""Seconds without an answer after which the registry counts as unreachable."""


class Installed:
    """A virtual environment with the wheel, and a home of its own. `python` is its interpreter."""

    def __init__(self, directory: Path, command: Path) -> None:
        self.python, self._command = directory / "bin" / "python", command
        self.home = directory / "home"
        self.home.mkdir(exist_ok=True)

    def environment(self) -> dict[str, str]:
        """An ordinary user's: no variable of this test's Python or of Enarx."""
        return clean() | {"HOME": str(self.home)}

    def enarx(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the installed command in a directory away from the sources."""
        return self._run([self._command, *arguments])

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the environment's interpreter."""
        return self._run([self.python, *arguments])

    def _run(self, command: list[str | Path]) -> subprocess.CompletedProcess[str]:
        found = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE,
            env=self.environment(),
            cwd=self.home,
        )
        assert "Traceback" not in found.stderr, found.stderr
        return found


def clean() -> dict[str, str]:
    """The environment of this process without what configures Python, Enarx or a user's directories."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ENARX", "XDG", "VIRTUAL_ENV", "PIPX"))}
    return kept | {"UV_LINK_MODE": "copy"}  # a link changes files of .venv, which other tests measure meanwhile


def call(*command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a tool, which may fail."""
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=clean() | {"UV_HTTP_TIMEOUT": str(UNREACHABLE), "UV_HTTP_RETRIES": "0", **more},
        cwd=ROOT,
    )


def done(*command: str | Path) -> str:
    """Run a tool that must succeed; its output."""
    found = call(*command)
    assert found.returncode == 0, f"{command}: {found.stderr}"
    return found.stdout


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    found = (base if worker_id == "master" else base.parent) / "packaging"
    found.mkdir(exist_ok=True)
    return found


@pytest.fixture(scope="session")
def wheel(shared: Path) -> Path:
    """The wheel, built without a network by the backend that bootstrap.txt pins."""
    with FileLock(shared / "dist.lock"):
        if not (shared / "dist").exists():
            done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", shared / "dist")
    (path,) = (shared / "dist").iterdir()
    return path


@pytest.fixture(scope="session")
def bare(wheel: Path, shared: Path) -> Installed:
    """`pip install enarx`."""
    return installed(shared / "bare", wheel)


@pytest.fixture(scope="session")
def host(wheel: Path, shared: Path) -> Installed:
    """`pip install 'enarx[host]'`."""
    return installed(shared / "host", wheel, "host")


def installed(directory: Path, wheel: Path, extra: str = "") -> Installed:
    """An environment of this name, made once for all workers."""
    with FileLock(f"{directory}.lock"):
        if not (directory / "enarx").exists():
            directory.mkdir(exist_ok=True)
            install(directory, wheel, extra)
            (directory / "enarx").symlink_to(directory / "venv" / "bin" / "enarx")
    return Installed(directory / "venv", directory / "enarx")


def install(directory: Path, wheel: Path, extra: str) -> None:
    """Make an environment with the locked dependencies, from uv's cache or the registry, and the wheel, installed by pip.

    pip has no index, so it fails if the wheel requires a package that the lock does not have for this extra.
    """
    lock = directory / "pylock.toml"
    python = directory / "venv" / "bin" / "python"
    export = ("export", "--frozen", "--no-dev", "--no-emit-project", "--format", "pylock.toml", "-o", lock)
    done(UV, *export, *(("--extra", extra) if extra else ()))
    done(UV, "venv", "--clear", "--offline", "--python", sys.executable, directory / "venv")
    fill = (UV, "pip", "install", "--python", python, "-r", lock)
    if call(*fill, "--offline").returncode:
        found = call(*fill)
        if found.returncode:
            pytest.skip(f"neither uv's cache nor a registry has the dependencies: {found.stderr.strip()[-300:]}")
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    done(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", wanted)
