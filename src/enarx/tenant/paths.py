"""Where a user's files are, by the XDG base directory specification; every directory is made with mode 0700."""

from __future__ import annotations

import os

SYSTEM_SOCKET = "/run/enarx/host.sock"
"""Where root's daemon listens."""


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


def user_socket() -> str:
    """Where this user's daemon listens; empty where the user has no runtime directory."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    return os.path.join(base, "enarx", "host.sock") if os.path.isabs(base) else ""


def private_dir(path: str) -> str:
    """Make `path` and what is above it, for this user alone."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def write_private(path: str, data: bytes) -> None:
    """A file of mode 0600 that is there whole or not at all."""
    private_dir(os.path.dirname(path))
    temporary = f"{path}.{os.getpid()}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
