"""The daemon's Keeps on disk, from which they are found again however the daemon ended.

A Keep is a directory `keeps/<id>` with `record.json` (the daemon's; `pooled.json` until somebody claims the Keep) and with
`meta.json`, `sock` and `output.*` (its supervisor's). The record is written last when a Keep is launched and removed first
when it is erased. A directory without a record is left over, though its supervisor may still run and must then be ended.

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
from enarx.host.state.records import ID, Record, Report

KEEPS, ASIDE = "keeps", "aside"
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Store:
    """The directories `keeps` and, for what cannot be read, `aside` below a daemon's state directory. UsageError."""

    def __init__(self, state: str) -> None:
        self._state = open_state(state)
        self._path = os.path.join(state, KEEPS)
        self._root = _private(self._state, KEEPS, state)
        self._aside = _private(self._state, ASIDE, state)

    def directory(self, keep: str) -> str:
        """The path of a Keep's directory."""
        return os.path.join(self._path, keep)

    def socket(self, keep: str) -> str:
        """A path of its supervisor's socket that is short enough for a socket address, wherever the state is."""
        return f"/proc/self/fd/{self._root}/{keep}/{SOCKET}"

    @contextlib.contextmanager
    def opened(self, keep: str) -> Iterator[int]:
        """A descriptor of a Keep's directory. OSError."""
        fd = open_directory(keep, self._root)
        try:
            yield fd
        finally:
            os.close(fd)

    def make(self) -> str:
        """Make the directory of a new Keep, which has no record yet; its name. OSError."""
        keep = secrets.token_hex(8)
        os.mkdir(keep, 0o700, dir_fd=self._root)
        return keep

    def write(self, record: Record) -> None:
        """Write a Keep's record; from then on the directory is a Keep. OSError."""
        with self.opened(record.id) as directory:
            write_json(directory, POOLED if record.pooled else RECORD, record.value())

    def claim(self, record: Record, **changes: Any) -> Record:
        """Take a Keep out of the pool: its record, changed, replaces the pool's. OSError."""
        claimed = replace(record, pooled=False, **changes)
        self.write(claimed)
        with self.opened(record.id) as directory:
            discard(directory, POOLED)
        return claimed

    def names(self) -> list[str]:
        """Every entry below `keeps`, whether it is a Keep or not."""
        return sorted(os.listdir(self._root))

    def is_directory(self, name: str) -> bool:
        """Is it a directory, not a link to one, and named as a Keep is?"""
        mode = os.stat(name, dir_fd=self._root, follow_symlinks=False).st_mode
        return stat.S_ISDIR(mode) and ID.fullmatch(name) is not None

    def read(self, keep: str) -> Record:
        """A Keep's record. FileNotFoundError if it has none, ValueError if it is malformed, OSError."""
        with self.opened(keep) as directory:
            try:
                record = Record.of(read_json(directory, RECORD), keep=keep, pooled=False)
            except FileNotFoundError:
                return Record.of(read_json(directory, POOLED), keep=keep, pooled=True)
            discard(directory, POOLED)  # left over if a claim was interrupted
            return record

    def report(self, keep: str) -> Report | None:
        """Its supervisor's last report; None if there is none that can be read."""
        try:
            with self.opened(keep) as directory:
                return Report.of(read_json(directory, META))
        except (FileNotFoundError, ValueError):
            return None
        except OSError as e:
            if e.errno == errno.ELOOP:  # a link, which no supervisor makes
                return None
            raise

    def stored(self, keep: str) -> int:
        """Bytes of its stored output."""
        try:
            with self.opened(keep) as directory:
                return stored.size(directory)
        except OSError:
            return 0  # the fault will show when the output is read or removed

    def output(self, keep: str, start: int) -> tuple[int, Iterator[bytes]]:
        """The number of the first stored frame, and the entries from frame `start` on in small pieces. OSError."""
        directory = open_directory(keep, self._root)
        try:
            segments = stored.segments(directory)
            report = self.report(keep)
        except BaseException:
            os.close(directory)
            raise
        first = segments[0] if segments else report.shown["frames"] if report is not None else 0
        return first, _closing(directory, stored.pieces(directory, segments, start))

    def erase(self, keep: str) -> None:
        """Remove everything of a Keep; none of its processes may run any more."""
        erase(self._root, keep)

    def set_aside(self, keep: str) -> str:
        """Move a Keep's directory to `aside` as it is; its new path below the state directory."""
        name = f"{keep}.{secrets.token_hex(4)}"
        os.rename(keep, name, src_dir_fd=self._root, dst_dir_fd=self._aside)
        return f"{ASIDE}/{name}"


def _closing(directory: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    finally:
        os.close(directory)


def open_state(path: str) -> int:
    """A descriptor of the state directory, made if it is missing, which is this user's alone. UsageError."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileExistsError as e:
        raise UsageError("state", f"{path}: not a directory", hint="--state DIR") from e
    except OSError as e:
        raise UsageError("state", f"{path}: {e.strerror}", hint="--state DIR") from e
    return _own(fd, path)


def _private(parent: int, name: str, state: str) -> int:
    path = os.path.join(state, name)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
        fd = open_directory(name, parent)
    except NotADirectoryError:  # also the error for a link that is not followed
        raise UsageError("state", f"{path}: not a directory but a link or a file", hint="remove it") from None
    except OSError as e:
        raise UsageError("state", f"{path}: {e.strerror}", hint="--state DIR") from e
    return _own(fd, path)


def _own(fd: int, path: str) -> int:
    """Set the directory's mode to 0700. UsageError if another user owns it, or could have changed what is in it."""
    status = os.fstat(fd)
    problem = ""
    if status.st_uid != os.geteuid():
        problem = f"belongs to user {status.st_uid}, not to {os.geteuid()}, who runs this host"
    elif status.st_mode & OTHERS_WRITE:
        problem = f"others can write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    if problem:
        os.close(fd)
        raise UsageError("state-unsafe", f"{path}: {problem}", hint=f"a directory of your own: chmod 700 {path}")
    try:
        if stat.S_IMODE(status.st_mode) != 0o700:
            os.fchmod(fd, 0o700)
    except OSError as e:
        os.close(fd)
        raise UsageError("state", f"{path}: {e.strerror}", hint="--state DIR") from e
    return fd
