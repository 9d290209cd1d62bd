"""Packages that `make compat` needs, from the registries of Python, npm and Debian, each pinned by its digest.

`packages.toml` lists them. Each is downloaded once, by the registry's ordinary client, into `.compat/downloads`, which git
ignores. `unpacked` gives the directory with a package's files; it downloads only if ENARX_COMPAT_DOWNLOAD is set, which
`make compat` does, so that `make test` never reaches a registry.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
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


def downloaded(package: Package, cache: Path = CACHE) -> Path:
    """The package's file, downloaded if necessary and allowed; its digest is as listed."""
    directory = cache / "downloads"
    path = directory / package.file
    if not path.exists():
        fetch(package, directory)
    if not path.exists():
        raise Missing(f"{package.name} {package.version}: the {package.registry} client wrote no {package.file}")
    if digest(path) != package.sha256:
        raise Tampered(
            f"{path}: got SHA-256 {digest(path)}, wanted {package.sha256}; delete it and run make compat again"
        )
    return path


def fetch(package: Package, directory: Path) -> None:
    """Run the registry's client. The digest is compared afterwards, for each use."""
    if not os.environ.get("ENARX_COMPAT_DOWNLOAD"):
        raise Missing(f"{package.name} {package.version} is not in {directory}: run make compat")
    command = package.command(directory)
    if not shutil.which(command[0]):
        raise Missing(f"{package.name} {package.version} needs {command[0]}")
    directory.mkdir(parents=True, exist_ok=True)
    got = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE)
    if got.returncode:
        hint = " (apt-get update?)" if package.registry == "debian" else ""
        raise Missing(f"{package.name} {package.version}: {command[0]} failed{hint}: {got.stderr.strip()[-300:]}")


def unpacked(name: str, cache: Path = CACHE) -> Path:
    """The directory with a package's files."""
    package = listed()[name]
    path = downloaded(package, cache)
    return together_in(cache / "unpacked" / f"{package.file}.{package.sha256[:12]}", [path])


def unpack(path: Path, into: Path) -> None:
    """Unpack a wheel, an npm tarball (without its folder `package`) or a Debian package."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(into)
    elif path.suffix == ".tgz":
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
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in paths:
        unpack(path, partial)
    try:
        partial.rename(place)
    except OSError:
        shutil.rmtree(partial)  # another process was first
        if not place.exists():
            raise
    return place
