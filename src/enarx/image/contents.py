"""The allow-list: exactly the files that a Keep is started from.

Not in it, and so not measured by simulated hardware: the interpreter, its standard library, the C library. A machine
image for real hardware holds those too, and measures all of itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

OWN_FILES = (
    "enarx/__init__.py",
    "enarx/errors.py",
    "enarx/record.py",
    "enarx/formats/__init__.py",
    "enarx/formats/config.py",
    "enarx/formats/package.py",
    "enarx/formats/wire.py",
    "enarx/delivery/",
    "enarx/keep/",
)
"""Ours: files, and directories with all Python source below them."""

DISTRIBUTIONS = ("wasmtime", "cryptography", "cbor2")
"""Others' packages, whole: their Python source and native libraries."""

SUFFIXES = (".py", ".so", ".dylib")


def code_paths(search: tuple[str, ...]) -> tuple[str, ...]:
    """Of the directories `search` those that the Keep's files come from, in order; FileNotFoundError if one is missing."""
    roots = ("enarx", *DISTRIBUTIONS)
    found = []
    for name in roots:
        home = next((d for d in search if os.path.isfile(f"{d}/{name}/__init__.py")), None)
        if home is None:
            raise FileNotFoundError(f"{name}: in none of {', '.join(search)}")
        if home not in found:
            found.append(home)
    return tuple(found)


def files(search: tuple[str, ...]) -> dict[str, str]:
    """Every file of the Keep: its name in the image, and its path here."""
    found: dict[str, str] = {}
    for home in code_paths(search):
        for name in OWN_FILES:
            if os.path.exists(f"{home}/{name}"):
                found |= dict(_below(home, name.rstrip("/")))
        for name in DISTRIBUTIONS:
            if os.path.isdir(f"{home}/{name}"):
                found |= {k: v for k, v in _below(home, name) if k not in found}
    return found


def _below(home: str, name: str) -> Iterator[tuple[str, str]]:
    path = f"{home}/{name}"
    if not os.path.isdir(path):
        yield name, path
        return
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                yield from _below(home, f"{name}/{entry.name}")
        elif entry.name.endswith(SUFFIXES):
            yield f"{name}/{entry.name}", entry.path
