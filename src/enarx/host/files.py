"""What is done to files of Keeps on the host: written whole or not at all, and erased."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD, POOLED = "record.json", "pooled.json"
"""The daemon's record of a Keep, or of one in its pool; a directory without either is not a Keep's any more."""

SCRATCH = "enarx-keep-"


def write_json(path: str, value: dict[str, Any]) -> None:
    """A file that is there whole or not at all, whenever this process ends.

    Not synchronised to the disk: no Keep outlives the machine, and what its end leaves half written is no Keep's record.
    """
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(f"{path}.new", path)


def erase(directory: str) -> None:
    """Remove a Keep's directory: it has files and no directories. The daemon's record of it goes first."""
    try:
        for name in sorted(os.listdir(directory), key=lambda name: name not in (RECORD, POOLED)):
            os.unlink(f"{directory}/{name}")
        os.rmdir(directory)
    except FileNotFoundError:
        return  # another has been here


def erase_scratch(path: str) -> None:
    """Remove the directory in memory that a Keep without a mount namespace of its own has worked in."""
    if os.path.dirname(path) != "/dev/shm" or not os.path.basename(path).startswith(SCRATCH):  # noqa: S108  # looked at
        return
    for where, directories, files in os.walk(path, topdown=False):
        for name in files:
            os.unlink(f"{where}/{name}")
        for name in directories:
            found = f"{where}/{name}"
            (os.unlink if os.path.islink(found) else os.rmdir)(found)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
