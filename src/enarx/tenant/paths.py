"""Where a user's files are, by the XDG base directory specification. All of its directories have mode 0700."""

from __future__ import annotations

import errno
import os
import stat

from enarx.errors import UsageError
from enarx.files import write_atomically

SOCKET = "host.sock"
SYSTEM_RUNTIME = "/run/enarx"


DEFAULTS = {
    "XDG_CONFIG_HOME": (".config",),
    "XDG_STATE_HOME": (".local", "state"),
    "XDG_CACHE_HOME": (".cache",),
}
"""The variable that names each base directory, and its default below the home directory."""


def _base(variable: str) -> str:
    """Our directory below the base directory of a variable; a relative value is ignored, as the specification says. UsageError."""
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(_home(variable), *DEFAULTS[variable])
    return os.path.join(base, "enarx")


def _home(variable: str) -> str:
    """The home directory. UsageError, which names the variable that can replace it."""
    given = os.environ.get("HOME")
    home = os.path.expanduser("~") if given is None or os.name != "posix" else given
    if os.path.isabs(home):
        return home
    problem = "is not set, and this user has no home directory" if given is None else f"is {given!r}"
    hint = f"set HOME or {variable} to the absolute path of a directory that you can write to"
    raise UsageError("home", f"the variable HOME {problem}, wanted an absolute path", hint=hint)


def _hint(path: str) -> str:
    """The hint for a directory that cannot be used: the variable that leads to it."""
    for variable in DEFAULTS:
        if path.startswith(_base(variable)):
            names = variable if os.path.isabs(os.environ.get(variable, "")) else f"HOME or {variable}"
            return f"set {names} to the absolute path of a directory that you can write to"
    return "it must be a directory that you own"


def config_dir() -> str:
    """The directory of owner keys."""
    return _base("XDG_CONFIG_HOME")


def state_dir() -> str:
    """The directory of sessions, the simulator's root, and the host daemon's Keeps."""
    return _base("XDG_STATE_HOME")


def cache_dir() -> str:
    """The directory of files that can be recomputed."""
    return _base("XDG_CACHE_HOME")


def runtime_dirs() -> tuple[str, ...]:
    """The directories of host daemons' sockets (SOCKET): the user's own, if XDG_RUNTIME_DIR is set, and the system's."""
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return (*((os.path.join(own, "enarx"),) if os.path.isabs(own) else ()), SYSTEM_RUNTIME)


def own_dirs() -> tuple[str, ...]:
    """All of these directories; their contents are never packaged."""
    return (config_dir(), state_dir(), cache_dir(), *runtime_dirs())


def _user(status: os.stat_result) -> int:
    """This process's effective user id; the file's owner on a system without users."""
    ask = getattr(os, "geteuid", None)
    return status.st_uid if ask is None else int(ask())


def private_dir(path: str) -> str:
    """Make a directory and its missing parents, for this user alone whatever the umask; returns the path.

    An existing directory is closed to other users. UsageError if it belongs to another user or cannot be made.
    """
    try:
        _make(path)
        status = os.stat(path)
        if status.st_uid != _user(status):
            message = f"{path}: the directory is another user's ({status.st_uid})"
            raise UsageError("private-owner", message, hint=_hint(path))
        if os.name == "posix" and stat.S_IMODE(status.st_mode) != 0o700:
            os.chmod(path, 0o700)
    except OSError as e:
        place = "" if e.filename in (None, path) else f": {e.filename}"
        raise UsageError("private-directory", f"{path}{place}: {e.strerror}", hint=_hint(path)) from e
    return path


def _make(path: str) -> None:
    """Make the directory and its parents with mode 0700; chmod, because mkdir applies the umask."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path) or "."
    for each in reversed(missing):
        try:
            os.mkdir(each, 0o700)
        except FileExistsError:
            if not os.path.isdir(each):
                raise NotADirectoryError(errno.ENOTDIR, "not a directory", each) from None
        else:
            os.chmod(each, 0o700)


def write_private(path: str, data: bytes, *, new: bool = False) -> None:
    """Write a file of mode 0600, whole or not at all, and the directories above it that are missing.

    With `new`, FileExistsError if it exists. OSError.
    """
    _make(os.path.dirname(path) or ".")
    write_atomically(path, data, new=new)


def open_regular(path: str, *, dir_fd: int | None = None, follow: bool = True) -> int:
    """A descriptor that reads a regular file. OSError for anything else, without waiting for a writer of a pipe."""
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags | (0 if follow else getattr(os, "O_NOFOLLOW", 0)), dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(0, "not a regular file")
    return fd


def read_file(path: str, most: int, *, code: str = "file", hint: str = "") -> bytes:
    """Up to `most` bytes of a regular file. UsageError with `code` and `hint`, also for pipes and devices."""
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(most)
    except (OSError, ValueError) as e:  # ValueError: a NUL in the path
        why = e.strerror if isinstance(e, OSError) and e.strerror else "not a file path"
        raise UsageError(code, f"{path}: {why}", hint=hint) from e
