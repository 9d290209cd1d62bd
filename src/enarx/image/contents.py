"""The allow-list: exactly the files that a Keep starts from.

The measurement covers these files, and a Keep loads no other code from `code_paths`; a test compares the list with the
modules of a running Keep. Simulated hardware does not measure the interpreter, its standard library, the C library, or
the byte code that Python caches beside the sources and uses while the source's size and time match (compiling again
would double a Keep's start). The owner of such a machine can change all of these, and the Keep's memory as well. A
machine image for real hardware contains no byte code and is measured completely.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

OWN_FILES = (
    "enarx/__init__.py",
    "enarx/errors.py",
    "enarx/record.py",
    "enarx/formats/__init__.py",
    "enarx/formats/bounds.py",
    "enarx/formats/cbor.py",
    "enarx/formats/checks.py",
    "enarx/formats/config.py",
    "enarx/formats/package.py",
    "enarx/formats/results.py",
    "enarx/formats/wire.py",
    "enarx/delivery/__init__.py",
    "enarx/delivery/content.py",
    "enarx/delivery/keep.py",
    "enarx/delivery/messages.py",
    "enarx/delivery/output.py",
    "enarx/delivery/session.py",
    "enarx/delivery/states.py",
    "enarx/delivery/stream.py",
    "enarx/delivery/suite.py",
    "enarx/keep/",
)
"""Enarx's own files, and directories with all code below them."""

PROFILES = {
    "providers": (
        "enarx/formats/sharing.py",
        "enarx/delivery/sharing.py",
        "enarx/keep/core/gathering.py",
    ),
    "unstable": ("enarx/keep/guest/unstable.py",),
}
"""Files of features that a Keep can lack. An installation without them has a Keep that refuses what needs them."""

DISTRIBUTIONS = ("wasmtime", "cryptography", "cbor2")
"""Third-party packages: all of their Python sources and native libraries."""

EXTENSIONS = ("_cffi_backend",)
"""Third-party native modules beside the packages; only some platforms have them."""

SUFFIXES = (".py", ".so", ".dylib")


def code_paths(search: tuple[str, ...]) -> tuple[str, ...]:
    """The directories of `search`, in order, that contain the Keep's files. UsageError if a package is missing.

    As sys.path, they lead to exactly the modules that `files` lists.
    """
    homes = {*_homes(search).values(), *_extension_homes(search).values()}
    return tuple(d for d in search if d in homes)


def files(search: tuple[str, ...]) -> dict[str, str]:
    """All files of a Keep: the path on this machine by the name in the image.

    UsageError if a package is missing, UnavailableError if a file cannot be read.
    """
    homes = _homes(search)
    paths: dict[str, str] = {}
    try:
        for name in OWN_FILES:
            paths |= dict(_below(homes["enarx"], name.rstrip("/")))
        for name in (name for names in PROFILES.values() for name in names):
            if os.path.exists(f"{homes['enarx']}/{name}"):
                paths[name] = f"{homes['enarx']}/{name}"
        for name in DISTRIBUTIONS:
            paths |= dict(_below(homes[name], name))
    except OSError as e:
        from enarx.errors import UnavailableError  # loaded late: the simulator waits for this module

        message = f"{e.filename}: {e.strerror}: this installation's Keep can be neither started nor measured"
        raise UnavailableError("keep-unreadable", message, hint="install enarx again, readable by this user") from e
    for name, home in _extension_homes(search).items():
        paths |= {entry: f"{home}/{entry}" for entry in _extension_files(home, name)}
    return paths


def require(search: tuple[str, ...]) -> None:
    """Return if every package of a Keep is installed; UsageError, with the command that installs them."""
    _homes(search)


def _homes(search: tuple[str, ...]) -> dict[str, str]:
    """The directory of `search` that each package is imported from. UsageError if a package is missing."""
    homes = {}
    for name in ("enarx", *DISTRIBUTIONS):
        home = next((d for d in search if os.path.isfile(f"{d}/{name}/__init__.py")), None)
        if home is None:
            from enarx.errors import UsageError  # loaded late: the simulator waits for this module

            raise UsageError(
                "keep-incomplete",
                f"{name} is not installed, so this installation's Keep can be neither started nor measured",
                hint="pip install 'enarx[host]'; to accept a Keep on another machine without it: --measurement HEX",
            )
        homes[name] = home
    return homes


def _extension_homes(search: tuple[str, ...]) -> dict[str, str]:
    homes = {name: next((d for d in search if _extension_files(d, name)), None) for name in EXTENSIONS}
    return {name: home for name, home in homes.items() if home is not None}


def _extension_files(home: str, name: str) -> list[str]:
    try:
        entries = os.listdir(home)
    except OSError:
        return []
    return [entry for entry in entries if entry.startswith(f"{name}.") and entry.endswith(SUFFIXES)]


def _below(home: str, name: str) -> Iterator[tuple[str, str]]:
    path = f"{home}/{name}"
    if not os.path.isdir(path):
        yield name, path
        return
    for entry in os.scandir(path):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _below(home, f"{name}/{entry.name}")
        elif entry.name.endswith(SUFFIXES):
            yield f"{name}/{entry.name}", entry.path
