"""The allow-list: exactly the files that a Keep is started from.

What they measure says that of all the code a Keep can take from `code_paths`, it is these files that it does take: a
test compares them with what is in fact loaded. Not among them, and so not measured by simulated hardware: the
interpreter, its standard library, the C library, and the byte code that Python keeps beside the sources and takes in
their place where size and time of the source fit (compiling anew would cost a Keep half of its start). Simulated
hardware stands on a machine whose owner can change all of that, and the Keep's memory besides. A machine image for real
hardware holds no byte code, and measures all of itself.
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
    "enarx/formats/quantities.py",
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
"""Ours: files, and directories with all code below them."""

DISTRIBUTIONS = ("wasmtime", "cryptography", "cbor2")
"""Others' packages, whole: their Python source and native libraries."""

EXTENSIONS = ("_cffi_backend",)
"""Others' native modules that lie beside the packages; only some platforms have them."""

SUFFIXES = (".py", ".so", ".dylib")


def code_paths(search: tuple[str, ...]) -> tuple[str, ...]:
    """Of the directories `search`, and in their order, those that the Keep's files come from.

    For sys.path: what is imported from these is what `files` lists. UnavailableError if a package is missing.
    """
    homes = {*_homes(search).values(), *_extension_homes(search).values()}
    return tuple(d for d in search if d in homes)


def files(search: tuple[str, ...]) -> dict[str, str]:
    """Every file of the Keep: its name in the image, and its path here. UnavailableError if a package is missing."""
    homes = _homes(search)
    found: dict[str, str] = {}
    try:
        for name in OWN_FILES:
            found |= dict(_below(homes["enarx"], name.rstrip("/")))
        for name in DISTRIBUTIONS:
            found |= dict(_below(homes[name], name))
    except OSError as e:
        raise _unavailable("keep-unreadable", f"{e.filename}: {e.strerror}") from e
    for name, home in _extension_homes(search).items():
        found |= {entry: f"{home}/{entry}" for entry in _extension_files(home, name)}
    return found


def _homes(search: tuple[str, ...]) -> dict[str, str]:
    """Where each package is imported from, if `search` is where imports look."""
    homes = {}
    for name in ("enarx", *DISTRIBUTIONS):
        home = next((d for d in search if os.path.isfile(f"{d}/{name}/__init__.py")), None)
        if home is None:
            raise _unavailable("keep-incomplete", f"{name} is not installed")
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


def _unavailable(code: str, said: str) -> Exception:
    from enarx.errors import UnavailableError  # needed only here, by a process that starts in a hurry

    return UnavailableError(
        code,
        f"{said}: the Keep of this installation can be neither started nor measured",
        hint="install enarx with its dependencies; to accept a Keep elsewhere, give its measurement",
    )
