"""The daemon's Keeps on disk, so that they are found again whenever and however it has ended.

A Keep is a directory `keeps/<id>` with `record.json` (the daemon's; `pooled.json` as long as nobody has claimed the Keep),
`meta.json`, `sock` and `output.*` (its supervisor's). The record comes last when a Keep is made and goes first when it is
removed: a directory without one is rubbish, though perhaps with a supervisor in it that is still to be ended.

Everything is reached by descriptors from the state directory down, and no link below it is followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from enarx.errors import UsageError
from enarx.host.state import stored
from enarx.host.state.files import (
    META,
    POOLED,
    RECORD,
    SOCKET,
    discard,
    erase,
    open_directory,
    read_json,
    write_json,
)
from enarx.host.state.records import ID, Record, Words

KEEPS, ASIDE = "keeps", "aside"
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Store:
    """The directories `keeps`, and `aside` for what cannot be read, below a daemon's state directory. UsageError."""

    def __init__(self, state: str) -> None:
        self._state = open_state(state)
        self._path = os.path.join(state, KEEPS)
        self._root = _private(self._state, KEEPS, state)
        self._aside = _private(self._state, ASIDE, state)

    def directory(self, keep: str) -> str:
        """The path of that Keep's."""
        return os.path.join(self._path, keep)

    def socket(self, keep: str) -> str:
        """Its supervisor's, by a path that is short enough for a socket's wherever the state is."""
        return f"/proc/self/fd/{self._root}/{keep}/{SOCKET}"

    @contextlib.contextmanager
    def opened(self, keep: str) -> Iterator[int]:
        """A descriptor of that Keep's directory; OSError."""
        fd = open_directory(keep, self._root)
        try:
            yield fd
        finally:
            os.close(fd)

    def make(self) -> str:
        """A new Keep's name; its directory is there, and as yet rubbish."""
        keep = secrets.token_hex(8)
        os.mkdir(keep, 0o700, dir_fd=self._root)
        return keep

    def write(self, record: Record) -> None:
        """From now on it is a Keep."""
        with self.opened(record.id) as directory:
            write_json(directory, POOLED if record.pooled else RECORD, record.value())

    def claim(self, record: Record, **more: Any) -> Record:
        """From now on it is not in the pool: a record with `more` of the tenant takes the place of the pool's."""
        claimed = replace(record, pooled=False, **more)
        self.write(claimed)
        with self.opened(record.id) as directory:
            discard(directory, POOLED)
        return claimed

    def names(self) -> list[str]:
        """What there is below `keeps`, Keeps or not."""
        return sorted(os.listdir(self._root))

    def is_directory(self, name: str) -> bool:
        """Is it a directory with a name that we give, and not a link to one?"""
        mode = os.stat(name, dir_fd=self._root, follow_symlinks=False).st_mode
        return stat.S_ISDIR(mode) and ID.fullmatch(name) is not None

    def read(self, keep: str) -> Record:
        """The record of a Keep; FileNotFoundError for rubbish, ValueError for a record that is none, OSError."""
        with self.opened(keep) as directory:
            try:
                record = Record.of(read_json(directory, RECORD), keep=keep, pooled=False)
            except FileNotFoundError:
                return Record.of(read_json(directory, POOLED), keep=keep, pooled=True)
            discard(directory, POOLED)  # where a claim was interrupted
            return record

    def words(self, keep: str) -> Words | None:
        """What its supervisor has written of it, if that can be read."""
        try:
            with self.opened(keep) as directory:
                return Words.of(read_json(directory, META))
        except (FileNotFoundError, ValueError):
            return None
        except OSError as e:
            if e.errno == errno.ELOOP:  # a link, which no supervisor leaves
                return None
            raise

    def stored(self, keep: str) -> int:
        """Bytes of its output."""
        try:
            with self.opened(keep) as directory:
                return stored.size(directory)
        except OSError:
            return 0  # whatever is wrong there shows where it is read or removed

    def output(self, keep: str, start: int) -> tuple[int, Iterator[bytes]]:
        """The number of the first frame that is there, and the entries from `start` on in small pieces. OSError."""
        directory = open_directory(keep, self._root)
        try:
            found = stored.segments(directory)
            words = self.words(keep)
        except BaseException:
            os.close(directory)
            raise
        first = found[0] if found else words.shown["frames"] if words is not None else 0
        return first, _closing(directory, stored.pieces(directory, found, start))

    def erase(self, keep: str) -> None:
        """Remove what is left of it; nobody may be in it any more."""
        erase(self._root, keep)

    def set_aside(self, keep: str) -> str:
        """Move a Keep's directory out of the way, as it is; where to."""
        name = f"{keep}.{secrets.token_hex(4)}"
        os.rename(keep, name, src_dir_fd=self._root, dst_dir_fd=self._aside)
        return f"{ASIDE}/{name}"


def _closing(directory: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    finally:
        os.close(directory)


def open_state(path: str) -> int:
    """A descriptor of the state directory, which is made if need be, and is this user's alone. UsageError."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        raise UsageError("state", f"{path}: {e.strerror}", hint="--state DIR") from e
    return _own(fd, path)


def _private(parent: int, name: str, state: str) -> int:
    path = os.path.join(state, name)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
        fd = open_directory(name, parent)
    except NotADirectoryError:  # what opening a link without following it gives too
        raise UsageError("state", f"{path}: not a directory but a link or a file", hint="remove it") from None
    except OSError as e:
        raise UsageError("state", f"{path}: {e.strerror}", hint="--state DIR") from e
    return _own(fd, path)


def _own(fd: int, path: str) -> int:
    """Give the directory its mode; UsageError where another user owns it, or may have changed what is in it."""
    found = os.fstat(fd)
    problem = ""
    if found.st_uid != os.geteuid():
        problem = f"belongs to user {found.st_uid}, not to {os.geteuid()}, who runs this host"
    elif found.st_mode & OTHERS_WRITE:
        problem = f"others can write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    if problem:
        os.close(fd)
        raise UsageError("state-unsafe", f"{path}: {problem}", hint=f"a directory of your own: chmod 700 {path}")
    try:
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.fchmod(fd, 0o700)
    except OSError as e:
        os.close(fd)
        raise UsageError("state", f"{path}: {e.strerror}", hint="--state DIR") from e
    return fd
