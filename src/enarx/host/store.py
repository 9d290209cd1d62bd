"""The daemon's Keeps on disk, so that they are found again whenever and however it has ended.

A Keep is a directory `keeps/<id>` with `record.json` (the daemon's; `pooled.json` as long as nobody has claimed the Keep),
`meta.json`, `sock` and `output.*` (its supervisor's). The record comes last when a Keep is made and goes first when it is
removed: a directory without one is rubbish, though perhaps with a supervisor in it that is still to be told so.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, replace
from typing import Any

from enarx.host import events
from enarx.host.files import POOLED, RECORD, erase, write_json

GONE = ".gone"
PATIENCE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the daemon knows of a Keep; memory and disk are what it was launched with, in bytes."""

    id: str
    kind: str
    package_digest: str
    memory: int
    disk: int
    created: float
    pooled: bool
    tenant: str = ""


class Store:
    """The directory `keeps` below a daemon's state directory."""

    def __init__(self, state: str) -> None:
        self._root = os.path.join(state, "keeps")
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        self._fd = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def directory(self, keep: str) -> str:
        """Of that Keep."""
        return os.path.join(self._root, keep)

    def socket(self, keep: str) -> str:
        """Its supervisor's, by a path that is short enough for a socket's wherever the state is."""
        return f"/proc/self/fd/{self._fd}/{keep}/sock"

    def make(self) -> str:
        """A new Keep's name; its directory is there, and as yet rubbish."""
        keep = secrets.token_hex(8)
        os.mkdir(self.directory(keep), 0o700)
        return keep

    def write(self, record: Record) -> None:
        """From now on it is a Keep."""
        write_json(os.path.join(self.directory(record.id), POOLED if record.pooled else RECORD), asdict(record))

    def claim(self, record: Record, tenant: str) -> Record:
        """From now on it is the tenant's, and not in the pool."""
        record = replace(record, tenant=tenant)
        directory = self.directory(record.id)
        write_json(os.path.join(directory, POOLED), asdict(record))
        os.rename(os.path.join(directory, POOLED), os.path.join(directory, RECORD))
        return replace(record, pooled=False)

    def forget(self, keep: str) -> None:
        """From now on it is rubbish."""
        for name in (RECORD, POOLED):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.directory(keep), name))

    def erase(self, keep: str) -> None:
        """Remove what is left of it; nobody may be in it any more."""
        erase(self.directory(keep))

    def found(self) -> list[Record]:
        """All that are there; what is only half made, or half removed, is discarded."""
        records = []
        for name in sorted(os.listdir(self._root)):
            try:
                records.append(self._read(name))
            except FileNotFoundError:
                self.discard(name)
            except (OSError, ValueError, TypeError) as e:
                events.log("record-unreadable", level="error", keep=name, message=type(e).__name__)
                if isinstance(e, ValueError) and not self._is_supervised(name):
                    self.discard(name)  # left so by the end of the machine; else it is not ours to throw away
        return records

    def _read(self, keep: str) -> Record:
        pooled = os.path.exists(os.path.join(self.directory(keep), POOLED))
        with open(os.path.join(self.directory(keep), POOLED if pooled else RECORD), encoding="utf-8") as file:
            return Record(**{**json.load(file), "pooled": pooled})

    def _is_supervised(self, keep: str) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(self.socket(keep)) == 0

    def last_words(self, keep: str) -> dict[str, Any]:
        """What its supervisor has written of it, for when there is none to ask."""
        try:
            with open(os.path.join(self.directory(keep), "meta.json"), encoding="utf-8") as file:
                return dict(json.load(file))
        except (OSError, ValueError):
            return {}

    def discard(self, keep: str) -> None:
        """Remove a directory whose launch came to nothing, or nobody knows to what.

        It gets another name first: a launcher that is still at it can not put a supervisor there then, and a supervisor
        that is there already, or was just about to be, is found in it or ends by itself.
        """
        name = keep if keep.endswith(GONE) else keep + GONE
        try:
            os.rename(self.directory(keep), self.directory(name))
            _end_supervisor(self.socket(name))
            erase(self.directory(name))
        except OSError as e:
            events.log("discard", level="error", keep=keep, message=str(e.strerror))


def _end_supervisor(path: str) -> None:
    """If there is one."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(path)
            connection.sendall(b'{"op":"remove","force":true}\n')
            connection.recv(1)
        except (FileNotFoundError, ConnectionError):
            return
