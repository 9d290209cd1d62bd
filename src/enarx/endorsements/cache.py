"""A cache of endorsements on disk. An expired endorsement is never returned."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable

from filelock import FileLock


class Cache:
    """A directory of the user's. `write` replaces a file atomically; `clock` returns unix seconds."""

    def __init__(
        self, directory: str, *, write: Callable[[str, bytes], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._write = write
        self._clock = clock

    def get(self, name: str, make: Callable[[], tuple[bytes, int | None]]) -> bytes:
        """The cached data of this name; else the data that `make` returns with its expiry (unix seconds; None for never).

        Locked per name, across processes: while one fetches, the others wait for the cached result.
        """
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        path = os.path.join(self._directory, hashlib.sha256(name.encode()).hexdigest())
        with FileLock(f"{path}.lock"):
            kept = self._kept(path, name)
            if kept is not None:
                return kept
            data, until = make()
            head = {"name": name, "until": until, "sha256": hashlib.sha256(data).hexdigest()}
            self._write(path, json.dumps(head).encode() + b"\n" + data)
            return data

    def _kept(self, path: str, name: str) -> bytes | None:
        """The cached data; None if it is missing, expired or damaged."""
        try:
            with open(path, "rb") as file:
                first, data = file.readline(4096), file.read()
            head = json.loads(first)
            until, whole = head["until"], head["sha256"] == hashlib.sha256(data).hexdigest() and head["name"] == name
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        fresh = until is None or (isinstance(until, int) and self._clock() < until)
        return data if whole and fresh else None
