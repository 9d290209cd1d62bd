"""The measurement of a Keep: SHA-384 over its files' names, sizes and digests.

Hashing 46 MB of native libraries takes longer than starting a Keep, so digests are kept with the identity of the file
that they are of (device, inode, size, times), as git's index does. Byte code that Python caches beside the sources is not
measured: on a machine whose owner plays the hardware, that owner can change anything anyway. An image for real hardware
holds no cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping

from enarx.formats.wire import encode
from enarx.record import record

LABEL = "enarx keep v1"
PIECE = 1 << 20


@record()
class Measurement:
    """`value` is 48 bytes; `digests` are of the files by their names in the image."""

    value: bytes
    digests: Mapping[str, tuple[int, str]]


class DigestCache:
    """SHA-256 of files, remembered in `path` as long as a file's identity stays; a damaged memory is an empty one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._changed = False
        self._known: dict[str, list[object]] = self._load()

    def digest(self, path: str) -> tuple[int, str]:
        """Size and SHA-256 (hexadecimal) of the file at `path`."""
        identity = _identity(os.stat(path))
        known = self._known.get(path)
        if known is None or known[:-1] != identity:
            known = self._known[path] = [*identity, _sha256(path)]
            self._changed = True
        return int(str(identity[2])), str(known[-1])

    def save(self) -> None:
        """Write it if anything is new; a memory that can not be written costs time and nothing else."""
        if not self._changed:
            return
        temporary = f"{self._path}.{os.getpid()}.new"
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump(self._known, file)
            os.replace(temporary, self._path)
        except OSError:
            return

    def _load(self) -> dict[str, list[object]]:
        try:
            with open(self._path, encoding="utf-8") as file:
                known = json.load(file)
        except (OSError, ValueError):
            return {}
        fits = isinstance(known, dict) and all(isinstance(v, list) and len(v) == 6 for v in known.values())
        return known if fits else {}


def _identity(found: os.stat_result) -> list[object]:
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _sha256(path: str) -> str:
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            sha.update(piece)
    return sha.hexdigest()


def measure(files: Mapping[str, str], cache: DigestCache) -> Measurement:
    """The measurement of these files: names in the image, paths here."""
    digests = {name: cache.digest(path) for name, path in sorted(files.items())}
    cache.save()
    listing = [[name, size, digest] for name, (size, digest) in digests.items()]
    return Measurement(value=hashlib.sha384(encode([LABEL, listing])).digest(), digests=digests)


def differences(mine: Measurement, theirs: Mapping[str, tuple[int, str]]) -> tuple[str, ...]:
    """The names of the files in which two Keeps differ."""
    names = {*mine.digests, *theirs}
    return tuple(sorted(name for name in names if mine.digests.get(name) != theirs.get(name)))
