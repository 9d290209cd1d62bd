"""Packages that `make compat` needs, from the registries of Python, npm and Debian, each pinned by its digest.

`packages.toml` lists them. Each is downloaded once, by the registry's ordinary client, into `.compat/downloads`, which git
ignores. A run that is killed leaves no half of a file under a package's name, so the next run continues. `unpacked` gives the
directory with a package's files; it downloads only if ENARX_COMPAT_DOWNLOAD is set, which `make compat` does, so that `make
test` never reaches a registry.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".compat"
LIST = Path(__file__).parent / "packages.toml"
PATIENCE = 500
"""Seconds that a download may take."""


class Missing(Exception):
    """A package or a tool is not here, and this run may not or cannot get it. The text says which, and what to do."""


class Tampered(Exception):
    """A downloaded file has another digest than `packages.toml`."""


@dataclass(frozen=True)
class Package:
    """A line of `packages.toml`: a file of a registry, with its SHA-256."""

    registry: str
    name: str
    version: str
    file: str
    sha256: str

    def command(self, into: Path) -> list[str]:
        """The registry's own client, which writes the file into a directory."""
        pinned = {"pypi": f"{self.name}=={self.version}", "npm": f"{self.name}@{self.version}"}
        if self.registry == "pypi":
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            return [*pip, "--only-binary", ":all:", "--dest", str(into), pinned["pypi"]]
        if self.registry == "npm":
            return ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(into), pinned["npm"]]
        return ["apt-get", "download", "--quiet", f"{self.name}={self.version}"]


@functools.cache
def listed() -> dict[str, Package]:
    """All packages of `packages.toml` by name."""
    entries = [Package(**entry) for entry in tomllib.loads(LIST.read_text())["packages"]]
    return {package.name: package for package in entries}


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def partial(place: Path) -> Iterator[Path]:
    """A new directory beside `place` for its parts, to be renamed when they are complete, and removed at the end.

    Of several processes, each waits for the one before it: look again whether `place` exists. What a killed process left
    is removed first. A client of that process may still be writing, but into a directory that has lost its name.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prefix = f".{place.name}.partial."
        for leftover in [path for path in place.parent.iterdir() if path.name.startswith(prefix)]:
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=place.parent, ignore_cleanup_errors=True) as directory:
            yield Path(directory)


def downloaded(package: Package, cache: Path = CACHE) -> Path:
    """The package's file, downloaded if necessary and allowed; its digest is as listed."""
    path = cache / "downloads" / package.file
    if not path.exists():
        fetch(package, path)
    if digest(path) != package.sha256:
        raise Tampered(
            f"{path}: got SHA-256 {digest(path)}, wanted {package.sha256}; delete it and run make compat again"
        )
    return path


def fetch(package: Package, path: Path) -> None:
    """Run the registry's client. The file appears at `path` only if it is complete and has the listed digest."""
    if not os.environ.get("ENARX_COMPAT_DOWNLOAD"):
        raise Missing(f"{package.name} {package.version} is not in {path.parent}: run make compat")
    with partial(path) as directory:
        if path.exists():
            return  # from another process
        command = package.command(directory)
        if not shutil.which(command[0]):
            raise Missing(f"{package.name} {package.version} needs {command[0]}")
        got = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE)
        if got.returncode:
            hint = " (apt-get update?)" if package.registry == "debian" else ""
            raise Missing(f"{package.name} {package.version}: {command[0]} failed{hint}: {got.stderr.strip()[-300:]}")
        file = directory / package.file
        if not file.exists():
            raise Missing(f"{package.name} {package.version}: the {package.registry} client wrote no {package.file}")
        if digest(file) != package.sha256:
            raise Tampered(f"{package.file}: downloaded SHA-256 {digest(file)}, wanted {package.sha256}")
        file.rename(path)


def unpacked(name: str, cache: Path = CACHE) -> Path:
    """The directory with a package's files."""
    package = listed()[name]
    path = downloaded(package, cache)
    return together_in(cache / "unpacked" / f"{package.file}.{package.sha256[:12]}", [path])


def unpack(path: Path, into: Path) -> None:
    """Unpack a wheel, a tarball or a Debian package."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(into)
    elif path.name.endswith((".tgz", ".tar.gz")):
        with tarfile.open(path) as tarball:
            tarball.extractall(into, filter="data")
    else:
        subprocess.run(["dpkg", "-x", path, into], check=True, timeout=PATIENCE)


def together(names: tuple[str, ...], label: str, cache: Path = CACHE) -> Path:
    """One directory with the files of several Debian packages, as if they were installed below it."""
    packages = [listed()[name] for name in names]
    paths = [downloaded(package, cache) for package in packages]
    digests = "".join(package.sha256 for package in packages)
    return together_in(cache / "unpacked" / f"{label}.{hashlib.sha256(digests.encode()).hexdigest()[:12]}", paths)


def together_in(place: Path, paths: list[Path]) -> Path:
    """Unpack files into a directory that exists only when it is complete. Several processes may do so at the same time."""
    if place.exists():
        return place
    with partial(place) as directory:
        if not place.exists():
            content = directory / place.name
            content.mkdir()
            for path in paths:
                unpack(path, content)
            content.rename(place)
    return place
