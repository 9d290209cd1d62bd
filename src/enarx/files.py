"""Write a file whole or not at all, so that neither a crash nor a full disk leaves half of it under its name."""

from __future__ import annotations

import errno
import os


def write_atomically(
    name: str, data: bytes, *, mode: int = 0o600, dir_fd: int | None = None, new: bool = False, sync: bool = True
) -> None:
    """Write `data` to a file that appears under `name` complete, with exactly the permissions `mode`.

    The data go to a new file beside it, which then takes the name. Readers see the old file or the new one, and two
    writers never mix. `new` keeps an existing file and raises FileExistsError. `dir_fd` is an open directory that the name
    is relative to. `sync` waits until file and directory are on the disk; data that may be lost in a crash of the machine
    need not wait. On any OSError the old file is unchanged.
    """
    temporary = f"{name}.{os.urandom(6).hex()}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(temporary, flags, mode, dir_fd=dir_fd)
    try:
        with open(fd, "wb", buffering=0) as file:
            _fill(file.fileno(), data)
            if os.name == "posix":
                os.chmod(fd, mode)  # the umask has removed bits
            if sync:
                os.fsync(fd)
        if new:
            _give_name(temporary, name, dir_fd)
        else:
            os.replace(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        os.unlink(temporary, dir_fd=dir_fd)
        raise
    if sync and os.name == "posix":
        _sync_directory(os.path.dirname(name) or ".", dir_fd)


def _fill(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def _give_name(temporary: str, name: str, dir_fd: int | None) -> None:
    """Rename a file; FileExistsError if the name is taken."""
    try:
        os.link(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except FileExistsError:
        raise
    except OSError as e:  # a file system without hard links
        if _exists(name, dir_fd):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from e
        os.replace(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    else:
        os.unlink(temporary, dir_fd=dir_fd)


def _exists(name: str, dir_fd: int | None) -> bool:
    try:
        os.lstat(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True


def _sync_directory(path: str, dir_fd: int | None) -> None:
    """Make a new name durable. Some network file systems cannot, and answer EINVAL."""
    directory = os.open(path, os.O_RDONLY, dir_fd=dir_fd)
    try:
        os.fsync(directory)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
    finally:
        os.close(directory)
