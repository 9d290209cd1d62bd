"""The measurement of a Keep: a SHA-384 over the names, sizes and digests of its files (see `contents`).

Hashing 46 MB of native libraries takes longer than starting a Keep, so digests are cached under the identity of each
file (device, inode, size, times), as in git's index.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping

from enarx.errors import ParseError, UnavailableError
from enarx.files import write_atomically
from enarx.formats.wire import encode
from enarx.record import record

LABEL = "enarx keep v1"
PIECE = 1 << 20
SETTLED = 2 * 10**9
"""Nanoseconds without a change before a file's identity is trusted: two changes within the resolution of a file system's
clock have the same times."""


@record()
class Measurement:
    """`value` has 48 bytes. `digests` has size in bytes and SHA-256 (hexadecimal) of each file, by name in the image."""

    value: bytes
    digests: Mapping[str, tuple[int, str]]

    def to_text(self) -> str:
        """The measured list, one line per file, for people and for `measurement_from_text`."""
        return "".join(f"{digest} {size:>10} {name}\n" for name, (size, digest) in self.digests.items())


class DigestCache:
    """SHA-256 of files, cached in the file `path` while their identity stays the same. A damaged cache counts as empty.

    Anyone who can write to the cache can forge a measurement, so it belongs in the user's own cache directory: its owner
    could deceive only themselves.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._changed = False
        self._known = _load(path)

    def digest(self, path: str) -> tuple[int, str]:
        """Size and SHA-256 (hexadecimal) of the file at `path`; UnavailableError if it changes meanwhile."""
        identity = _identity(os.stat(path))
        known = self._known.get(path)
        if known is not None and known[0] == identity:
            return identity[2], known[1]
        digest = _sha256(path, identity)
        if time.time_ns() - max(identity[3:]) > SETTLED:
            self._known[path] = identity, digest
            self._changed = True
        return identity[2], digest

    def save(self) -> None:
        """Write the cache if it has changed. A failure costs only time, and is ignored."""
        if not self._changed:
            return
        known = {path: [*identity, digest] for path, (identity, digest) in self._known.items()}
        try:
            write_atomically(self._path, json.dumps(known).encode(), sync=False)
        except OSError:
            return


def _load(path: str) -> dict[str, tuple[list[int], str]]:
    try:
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(known, dict) or not all(_is_entry(entry) for entry in known.values()):
        return {}
    return {path: (entry[:-1], entry[-1]) for path, entry in known.items()}


def _is_entry(entry: object) -> bool:
    match entry:
        case [int(), int(), int(), int(), int(), str(digest)]:
            return len(digest) == 64
    return False


def _identity(status: os.stat_result) -> list[int]:
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _sha256(path: str, identity: list[int]) -> str:
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            sha.update(piece)
        if _identity(os.fstat(file.fileno())) != identity:
            raise UnavailableError("keep-changing", f"{path} changed while it was read", hint="try again")
    return sha.hexdigest()


def measure(files: Mapping[str, str], cache: DigestCache) -> Measurement:
    """The measurement of `files`, paths by name in the image; UnavailableError if one cannot be read."""
    try:
        digests = {name: cache.digest(path) for name, path in sorted(files.items())}
    except OSError as e:
        raise UnavailableError("keep-unreadable", f"{e.filename}: {e.strerror}: the Keep cannot be measured") from e
    cache.save()
    return Measurement(value=_value(digests), digests=digests)


def _value(digests: Mapping[str, tuple[int, str]]) -> bytes:
    listing = [[name, size, digest] for name, (size, digest) in sorted(digests.items())]
    return hashlib.sha384(encode([LABEL, listing])).digest()


def measurement_from_text(text: str) -> Measurement:
    """The measurement of a list written by `Measurement.to_text`; ParseError."""
    digests: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split(maxsplit=2)
        if (
            len(parts) != 3
            or len(parts[0]) != 64
            or not (parts[1].isascii() and parts[1].isdecimal())
            or parts[2] in digests
        ):
            raise ParseError(
                "keep-list", f"list of a Keep's files: line {number} does not describe a file", what="list of files"
            )
        digests[parts[2]] = int(parts[1]), parts[0]
    return Measurement(value=_value(digests), digests=digests)


def explain(mine: Measurement, theirs: Measurement) -> tuple[str, ...]:
    """One line for each file in which two Keeps differ; empty if their measurements are equal."""
    names = sorted({*mine.digests, *theirs.digests})
    lines = (_difference(name, mine.digests.get(name), theirs.digests.get(name)) for name in names)
    return tuple(line for line in lines if line)


def _difference(name: str, mine: tuple[int, str] | None, theirs: tuple[int, str] | None) -> str:
    if mine == theirs:
        return ""
    if mine is None or theirs is None:
        return f"{name}: only {'there' if mine is None else 'here'}"
    return f"{name}: {mine[0]} bytes {mine[1][:16]} here, {theirs[0]} bytes {theirs[1][:16]} there"
