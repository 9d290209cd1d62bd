"""Files of Keeps on the host: written whole or not at all, read within bounds, erased by descriptors that follow no link."""

from __future__ import annotations

import json
import os

from enarx.files import write_atomically

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD, POOLED, META, SOCKET = "record.json", "pooled.json", "meta.json", "sock"
"""The daemon's record of a Keep, or of a Keep in its pool; the supervisor's report; the supervisor's socket."""

SCRATCH = "enarx-keep-"
SCRATCH_PARENT = "/dev/shm"  # noqa: S108  # only directories with our prefix are touched
MAX_JSON = 64 << 10
BLOCK = 4096
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_directory(name: str, parent: int | None = None) -> int:
    """A descriptor of the directory `name` below the descriptor `parent`. OSError if it is a link or anything else."""
    return os.open(name, DIRECTORY, dir_fd=parent)


def write_json(directory: int, name: str, value: dict[str, Any]) -> None:
    """Write a file whole or not at all, whenever this process ends. OSError.

    It is padded to whole blocks, so that `rewrite_json` finds room in it on a full disk. It is not synchronized to the
    disk: no Keep outlives the machine, and a record that the machine's end left half written is ignored.
    """
    write_atomically(name, _padded(value), dir_fd=directory, sync=False)


def rewrite_json(directory: int, name: str, value: dict[str, Any]) -> None:
    """Like `write_json`; on a full disk, over the existing file."""
    try:
        write_json(directory, name, value)
    except OSError:
        fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.pwrite(fd, _padded(value), 0)
        finally:
            os.close(fd)


def _padded(value: dict[str, Any]) -> bytes:
    data = json.dumps(value).encode()
    return data.ljust(-(-(len(data) + 512) // BLOCK) * BLOCK)


def read_json(directory: int, name: str) -> dict[str, Any]:
    """The JSON object in a regular file of bounded size. OSError; ValueError if it is anything else."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        data = os.read(fd, MAX_JSON + 1)
    finally:
        os.close(fd)
    if len(data) > MAX_JSON:
        raise ValueError(f"more than {MAX_JSON} bytes")
    try:
        value = json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # one exception for every way to be malformed
    return value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def discard(directory: int, name: str) -> None:
    """Unlink a file if possible."""
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        return


def erase(parent: int, name: str) -> None:
    """Remove the directory of a Keep, which contains files and no directories; the daemon's record goes first.

    OSError if it contains anything but files, which the host did not put there.
    """
    try:
        directory = open_directory(name, parent)
    except FileNotFoundError:
        return
    try:
        for entry in sorted(os.listdir(directory), key=lambda entry: entry not in (RECORD, POOLED)):
            _unlink(entry, directory)
    finally:
        os.close(directory)
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return  # removed by another process meanwhile


def _unlink(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return


def erase_path(path: str) -> None:
    """`erase` for a directory given by its path."""
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        erase(parent, os.path.basename(path))
    finally:
        os.close(parent)


def erase_scratch(path: str) -> None:
    """Remove the directory in memory in which a Keep without a mount namespace of its own has worked.

    The Keep is dead, but may have left anything there. No link is followed and, however deep its directories go, no more
    than two of them are open at once.
    """
    parent, name = os.path.split(path)
    if parent != SCRATCH_PARENT or not name.startswith(SCRATCH):
        return
    try:
        top = open_directory(path)
    except OSError:
        return
    try:
        names = os.listdir(top)
        while names:
            names += _dissolve(top, names.pop())
    finally:
        os.close(top)
    os.rmdir(path)


def _dissolve(top: int, name: str) -> list[str]:
    """Remove an entry of `top`. A directory's own directories are moved up to `top` first; their new names."""
    try:
        os.unlink(name, dir_fd=top)
        return []
    except IsADirectoryError:
        os.chmod(name, 0o700, dir_fd=top)
    directory, lifted = open_directory(name, top), []
    try:
        for inner in os.listdir(directory):
            try:
                os.unlink(inner, dir_fd=directory)
            except IsADirectoryError:
                lifted.append(f".{os.urandom(8).hex()}")
                os.rename(inner, lifted[-1], src_dir_fd=directory, dst_dir_fd=top)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=top)
    return lifted
