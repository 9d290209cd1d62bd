"""A directory on the tenant's machine, walked by descriptors, so that concurrent changes cannot add files to a package.

Each directory is opened from its parent without following links. A file is read, for hashing and again for sending, only
if it is the file that was examined before. On systems that cannot open relative to a descriptor, paths are used, and the
same comparison is made.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from itertools import takewhile

from enarx.errors import UsageError
from enarx.formats.package import FIXED_TIME, MAX_ENTRIES, MAX_TIME, MAX_TREE_DEPTH, Node
from enarx.formats.wire import CHUNK
from enarx.record import record
from enarx.tenant.paths import open_regular, own_dirs

BY_DESCRIPTOR = {os.open, os.stat, os.readlink} <= os.supports_dir_fd and os.listdir in os.supports_fd
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_EXECUTABLE = os.name != "nt"
"""Whether files have an executable bit: Windows derives one from the name."""

Parts = tuple[str, ...]
Identity = tuple[int, int, int, int]


def _identity(status: os.stat_result) -> Identity:
    """Device, inode, type and, except for directories, modification time: changes if the file is replaced or written."""
    kind = stat.S_IFMT(status.st_mode)
    return status.st_dev, status.st_ino, kind, 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns


@record()
class Tree:
    """A directory's entries in the order of its index.

    `start` is the path that is opened, links followed; `below` are the directory names from there to this one, none of
    them a link. `identities` are the entries' identities when they were examined.
    """

    start: str
    below: Parts
    nodes: tuple[Node, ...]
    identities: tuple[Identity, ...]

    def files(self) -> Iterator[tuple[Node, io.FileIO]]:
        """Each file, open for reading. UsageError if it is not the file that was indexed."""
        with contextlib.closing(_Walk(self.start)) as walk:
            for node, identity in zip(self.nodes, self.identities, strict=True):
                if node.kind == "f":
                    with walk.file((*self.below, *node.path.split("/")), identity) as file:
                        yield node, file


def read(start: str, below: Parts = (), *, times: bool = False) -> Tree:
    """The tree below a directory. UsageError for anything that cannot be packaged: sockets, devices, our own directories.

    With `times` the entries carry the modification times of files and directories, else the fixed time.
    """
    own = _own(start, below)
    nodes: list[Node] = []
    identities: list[Identity] = []
    todo: list[Parts] = [()]
    with contextlib.closing(_Walk(start)) as walk:
        while todo:
            parts = todo.pop()
            at = (*below, *parts)
            status = walk.look(at)
            if parts:
                if len(nodes) >= MAX_ENTRIES or len(parts) > MAX_TREE_DEPTH:
                    message = f"{walk.path(at)}: over {MAX_ENTRIES} entries or {MAX_TREE_DEPTH} levels"
                    raise UsageError("dir-size", message, hint="package less, or an archive of it")
                nodes.append(_node(walk, at, "/".join(parts), status, times))
                identities.append(_identity(status))
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in own:
                    raise _private(walk.path(at))
                todo += ((*parts, name) for name in sorted(walk.names(at, _identity(status)), reverse=True))
    return Tree(start=start, below=below, nodes=tuple(nodes), identities=tuple(identities))


def _own(start: str, below: Parts) -> set[tuple[int, int]]:
    """Device and inode of each of our directories. UsageError if this directory lies within one."""
    own: set[tuple[int, int]] = set()
    for path in own_dirs():
        with contextlib.suppress(OSError):
            status = os.stat(path)
            own.add((status.st_dev, status.st_ino))
    path = os.path.realpath(os.path.join(start, *below))
    while (above := os.path.dirname(path)) != path:
        path = above
        with contextlib.suppress(OSError):
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in own:
                raise _private(path)
    return own


def _private(path: str) -> UsageError:
    hint = "it holds this program's keys, sessions and sockets; package another directory"
    return UsageError("dir-private", f"{path}: this directory is never packaged", hint=hint)


def _changed(path: str, why: str) -> UsageError:
    return UsageError("files-changed", f"{path}: {why}", hint="try again when nothing writes to it")


def _node(walk: _Walk, at: Parts, name: str, status: os.stat_result, times: bool) -> Node:
    path = walk.path(at)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError("dir-name", f"{path!r}: the file name is not UTF-8") from None
    if stat.S_ISLNK(status.st_mode):
        return Node(name, "l", target=walk.target(at))
    time = min(max(0, status.st_mtime_ns), MAX_TIME) if times else FIXED_TIME
    if stat.S_ISDIR(status.st_mode):
        return Node(name, "d", mtime=time)
    if stat.S_ISREG(status.st_mode):
        with walk.file(at, _identity(status)) as file:
            digest = _hash(file, status.st_size, path)
        return Node(name, "f", status.st_size, digest, "", _EXECUTABLE and bool(status.st_mode & stat.S_IXUSR), time)
    raise UsageError("dir-kind", f"{path}: neither a file, a directory nor a link", hint="remove it from the directory")


def _hash(file: io.FileIO, size: int, path: str) -> bytes:
    """The SHA-256 of a file of exactly this size. UsageError if the size changes meanwhile."""
    sha, left, buffer = hashlib.sha256(), size, memoryview(bytearray(CHUNK))
    while left and (count := file.readinto(buffer[: min(left, CHUNK)])):
        sha.update(buffer[:count])
        left -= count
    require_end(file, left, path)
    return sha.digest()


def require_end(file: io.FileIO, left: int, path: str) -> None:
    """UsageError unless a file ended exactly at its size: `left` bytes are missing, or more follow."""
    if left or file.read(1):
        raise _changed(path, "the file became shorter" if left else "the file became longer")


class _Walk:
    """Open descriptors of the directories from `start` to the current one."""

    def __init__(self, start: str) -> None:
        self._start = start
        self._names: list[str] = []
        self._fds: list[int] = []
        try:
            if BY_DESCRIPTOR:
                self._fds.append(os.open(start, _DIRECTORY))
        except OSError as e:
            raise UsageError("dir-read", f"{start}: {e.strerror}") from e

    def close(self) -> None:
        """Close all descriptors of the walk."""
        while self._fds:
            os.close(self._fds.pop())

    def path(self, at: Parts) -> str:
        """The path of an entry, for messages."""
        return os.path.join(self._start, *at)

    def look(self, at: Parts) -> os.stat_result:
        """The current status of an entry; links are not followed. UsageError."""
        try:
            if not at:
                return os.fstat(self._fds[0]) if BY_DESCRIPTOR else os.stat(self._start)
            name, fd = self._place(at)
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError as e:
            raise UsageError("dir-read", f"{self.path(at)}: {e.strerror}") from e

    def names(self, at: Parts, wanted: Identity) -> list[str]:
        """The names in a directory. UsageError if it is not the directory `wanted`."""
        try:
            if not BY_DESCRIPTOR:
                return os.listdir(self.path(at))
            fd = self._enter(at)
            if _identity(os.fstat(fd)) != wanted:
                raise _changed(self.path(at), "the directory was replaced")
            return os.listdir(fd)
        except OSError as e:
            raise UsageError("dir-read", f"{self.path(at)}: {e.strerror}") from e

    def target(self, at: Parts) -> str:
        """The target of a link. UsageError."""
        try:
            name, fd = self._place(at)
            return os.readlink(name, dir_fd=fd)
        except OSError as e:
            raise UsageError("dir-read", f"{self.path(at)}: {e.strerror}") from e

    def file(self, at: Parts, wanted: Identity) -> io.FileIO:
        """A file, unbuffered. UsageError if it is not the file `wanted`."""
        try:
            name, fd = self._place(at)
            file = io.FileIO(open_regular(name, dir_fd=fd, follow=False))
        except OSError as e:
            raise UsageError("dir-file", f"{self.path(at)}: {e.strerror}") from e
        if _identity(os.fstat(file.fileno())) != wanted:
            file.close()
            raise _changed(self.path(at), "the file was changed or replaced")
        return file

    def _place(self, at: Parts) -> tuple[str, int | None]:
        """A name, and the descriptor that it is relative to: the directory that the entry is in."""
        return (at[-1], self._enter(at[:-1])) if BY_DESCRIPTOR else (self.path(at), None)

    def _enter(self, at: Parts) -> int:
        """The descriptor of a directory, opened from its nearest open ancestor. OSError for a link."""
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self._names, at, strict=False)))
        while len(self._names) > same:
            self._names.pop()
            os.close(self._fds.pop())
        for name in at[same:]:
            self._fds.append(os.open(name, _DIRECTORY | _NO_LINK, dir_fd=self._fds[-1]))
            self._names.append(name)
        return self._fds[-1]
