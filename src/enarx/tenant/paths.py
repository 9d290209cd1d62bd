"""Where a user's files are, by the XDG base directory specification; every directory of ours has mode 0700."""

from __future__ import annotations

import os
import stat

from enarx.errors import UsageError
from enarx.files import write_atomically

SOCKET = "host.sock"
SYSTEM_RUNTIME = "/run/enarx"


def _base(variable: str, *default: str) -> str:
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), *default)
    return os.path.join(base, "enarx")


def config_dir() -> str:
    """Owner keys."""
    return _base("XDG_CONFIG_HOME", ".config")


def state_dir() -> str:
    """Sessions, the simulated hardware's root, the host daemon's Keeps."""
    return _base("XDG_STATE_HOME", ".local", "state")


def cache_dir() -> str:
    """What can be computed again."""
    return _base("XDG_CACHE_HOME", ".cache")


def runtime_dirs() -> tuple[str, ...]:
    """Where host daemons have their sockets (SOCKET): the user's own, if there is one, and the system's."""
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return (*((os.path.join(own, "enarx"),) if os.path.isabs(own) else ()), SYSTEM_RUNTIME)


def own_dirs() -> tuple[str, ...]:
    """All directories of ours: what is in them goes to nobody."""
    return (config_dir(), state_dir(), cache_dir(), *runtime_dirs())


def _user(found: os.stat_result) -> int:
    """Who we are, as `stat` tells owners; on a system without users the owner."""
    ask = getattr(os, "geteuid", None)
    return found.st_uid if ask is None else int(ask())


def private_dir(path: str) -> str:
    """Make `path` and what is missing above it, for this user alone whatever the umask.

    A directory that is there already is closed to others. UsageError if it is another user's, or cannot be made.
    """
    try:
        _make(path)
        found = os.stat(path)
        if found.st_uid != _user(found):
            hint = "remove it, or let XDG_STATE_HOME, XDG_CONFIG_HOME, XDG_CACHE_HOME name another place"
            raise UsageError("private-owner", f"{path}: the directory is another user's ({found.st_uid})", hint=hint)
        if os.name == "posix" and stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(path, 0o700)
    except OSError as e:
        raise UsageError("private-directory", f"{path}: {e.strerror}", hint="it has to be a directory of yours") from e
    return path


def _make(path: str) -> None:
    """The directory and its parents; those that are made have mode 0700, which a umask takes from `mkdir`."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path) or "."
    for each in reversed(missing):
        try:
            os.mkdir(each, 0o700)
        except FileExistsError:
            if not os.path.isdir(each):
                raise
        else:
            os.chmod(each, 0o700)


def write_private(path: str, data: bytes, *, new: bool = False) -> None:
    """Write a file of mode 0600, whole or not at all, and the directories above it that are missing.

    With `new`, FileExistsError if it exists. OSError.
    """
    _make(os.path.dirname(path) or ".")
    write_atomically(path, data, new=new)


def open_regular(path: str, *, dir_fd: int | None = None, follow: bool = True) -> int:
    """A descriptor to read a regular file; OSError for anything else, which is not waited for either."""
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags | (0 if follow else getattr(os, "O_NOFOLLOW", 0)), dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(0, "not a regular file")
    return fd


def read_file(path: str, most: int, *, code: str = "file", hint: str = "") -> bytes:
    """Up to `most` bytes of a regular file. UsageError, also for what one would wait for: a pipe, a device."""
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(most)
    except (OSError, ValueError) as e:  # ValueError: a NUL in the path
        why = e.strerror if isinstance(e, OSError) and e.strerror else "no path of a file"
        raise UsageError(code, f"{path}: {why}", hint=hint) from e
