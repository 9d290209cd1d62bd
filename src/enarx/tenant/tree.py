"""A directory on the tenant's machine, walked by descriptors: what changes meanwhile gets nothing else into a package.

Directories are opened without following links, each from the one above it; a file is only read if what was opened is what
was looked at before, when it is hashed as well as when it is sent. Where a system cannot open from a descriptor, paths
are used instead, and what was opened is compared all the same.
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
from enarx.formats.package import MAX_ENTRIES, MAX_TREE_DEPTH, Node
from enarx.formats.wire import CHUNK
from enarx.record import record
from enarx.tenant.paths import open_regular, own_dirs

BY_DESCRIPTOR = {os.open, os.stat, os.readlink} <= os.supports_dir_fd and os.listdir in os.supports_fd
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
Parts = tuple[str, ...]
Identity = tuple[int, int, int, int]


def _identity(found: os.stat_result) -> Identity:
    """What tells a file or directory from whatever else may be in its place, and a file from its later state."""
    kind = stat.S_IFMT(found.st_mode)
    return found.st_dev, found.st_ino, kind, 0 if stat.S_ISDIR(found.st_mode) else found.st_mtime_ns


@record()
class Tree:
    """A directory's entries in the order of its index. `start` is opened as it is named; `below` are the names of the
    directories from there to this one, none of them a link. `identities` has what each entry was when it was looked at."""

    start: str
    below: Parts
    nodes: tuple[Node, ...]
    identities: tuple[Identity, ...]

    def files(self) -> Iterator[tuple[Node, io.FileIO]]:
        """Each file with what it is to be read from. UsageError if it is not what was indexed."""
        with contextlib.closing(_Walk(self.start)) as walk:
            for node, identity in zip(self.nodes, self.identities, strict=True):
                if node.kind == "f":
                    with walk.file((*self.below, *node.path.split("/")), identity) as file:
                        yield node, file


def read(start: str, below: Parts = ()) -> Tree:
    """The tree below a directory. UsageError for what cannot be packaged: sockets, devices, our own directories."""
    own = _own(start, below)
    nodes: list[Node] = []
    identities: list[Identity] = []
    todo: list[Parts] = [()]
    with contextlib.closing(_Walk(start)) as walk:
        while todo:
            parts = todo.pop()
            at = (*below, *parts)
            found = walk.look(at)
            if parts:
                if len(nodes) >= MAX_ENTRIES or len(parts) > MAX_TREE_DEPTH:
                    said = f"over {MAX_ENTRIES} entries or {MAX_TREE_DEPTH} levels"
                    raise UsageError("dir-size", f"{walk.path(at)}: {said}", hint="package less, or an archive of it")
                nodes.append(_node(walk, at, "/".join(parts), found))
                identities.append(_identity(found))
            if stat.S_ISDIR(found.st_mode):
                if (found.st_dev, found.st_ino) in own:
                    raise _private(walk.path(at))
                todo += ((*parts, name) for name in sorted(walk.names(at, _identity(found)), reverse=True))
    return Tree(start=start, below=below, nodes=tuple(nodes), identities=tuple(identities))


def _own(start: str, below: Parts) -> set[tuple[int, int]]:
    """Device and inode of each directory of ours. UsageError if this one lies in one of them."""
    own: set[tuple[int, int]] = set()
    for path in own_dirs():
        with contextlib.suppress(OSError):
            found = os.stat(path)
            own.add((found.st_dev, found.st_ino))
    path = os.path.realpath(os.path.join(start, *below))
    while (above := os.path.dirname(path)) != path:
        path = above
        with contextlib.suppress(OSError):
            found = os.stat(path)
            if (found.st_dev, found.st_ino) in own:
                raise _private(path)
    return own


def _private(path: str) -> UsageError:
    hint = "it holds this program's keys, sessions and sockets; package another directory"
    return UsageError("dir-private", f"{path}: this directory is never packaged", hint=hint)


def _changed(path: str, why: str) -> UsageError:
    return UsageError("files-changed", f"{path}: {why}", hint="try again when nothing writes there")


def _node(walk: _Walk, at: Parts, name: str, found: os.stat_result) -> Node:
    path = walk.path(at)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError("dir-name", f"{path!r}: a file name that is not UTF-8") from None
    if stat.S_ISDIR(found.st_mode):
        return Node(name, "d")
    if stat.S_ISLNK(found.st_mode):
        return Node(name, "l", target=walk.target(at))
    if stat.S_ISREG(found.st_mode):
        with walk.file(at, _identity(found)) as file:
            return Node(name, "f", size=found.st_size, digest=_hash(file, found.st_size, path))
    raise UsageError("dir-kind", f"{path}: neither file, directory nor link", hint="take it out of the directory")


def _hash(file: io.FileIO, size: int, path: str) -> bytes:
    """SHA-256 of a file that has this size and keeps it."""
    sha, left, buffer = hashlib.sha256(), size, memoryview(bytearray(CHUNK))
    while left and (count := file.readinto(buffer[: min(left, CHUNK)])):
        sha.update(buffer[:count])
        left -= count
    require_end(file, left, path)
    return sha.digest()


def require_end(file: io.FileIO, left: int, path: str) -> None:
    """A file has been read up to its size: `left` bytes are missing, and nothing may follow. UsageError."""
    if left or file.read(1):
        raise _changed(path, "the file became shorter" if left else "the file became longer")


class _Walk:
    """The directories from `start` to where the walk is, held open."""

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
        """Let go of all."""
        while self._fds:
            os.close(self._fds.pop())

    def path(self, at: Parts) -> str:
        """For people."""
        return os.path.join(self._start, *at)

    def look(self, at: Parts) -> os.stat_result:
        """What is there now; of a link the link."""
        try:
            if not at:
                return os.fstat(self._fds[0]) if BY_DESCRIPTOR else os.stat(self._start)
            name, fd = self._place(at)
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError as e:
            raise UsageError("dir-read", f"{self.path(at)}: {e.strerror}") from e

    def names(self, at: Parts, wanted: Identity) -> list[str]:
        """What is in a directory, which has to be the one that was looked at."""
        try:
            if not BY_DESCRIPTOR:
                return os.listdir(self.path(at))
            fd = self._enter(at)
            if _identity(os.fstat(fd)) != wanted:
                raise _changed(self.path(at), "another directory is in its place")
            return os.listdir(fd)
        except OSError as e:
            raise UsageError("dir-read", f"{self.path(at)}: {e.strerror}") from e

    def target(self, at: Parts) -> str:
        """Of a link."""
        try:
            name, fd = self._place(at)
            return os.readlink(name, dir_fd=fd)
        except OSError as e:
            raise UsageError("dir-read", f"{self.path(at)}: {e.strerror}") from e

    def file(self, at: Parts, wanted: Identity) -> io.FileIO:
        """A file without a buffer, which has to be the one that was looked at."""
        try:
            name, fd = self._place(at)
            file = io.FileIO(open_regular(name, dir_fd=fd, follow=False))
        except OSError as e:
            raise UsageError("dir-file", f"{self.path(at)}: {e.strerror}") from e
        if _identity(os.fstat(file.fileno())) != wanted:
            file.close()
            raise _changed(self.path(at), "the file has changed, or another is in its place")
        return file

    def _place(self, at: Parts) -> tuple[str, int | None]:
        """How to name something: its name, and the descriptor of the directory that it is in."""
        return (at[-1], self._enter(at[:-1])) if BY_DESCRIPTOR else (self.path(at), None)

    def _enter(self, at: Parts) -> int:
        """The descriptor of a directory, from the nearest above it that is still open. OSError for a link."""
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self._names, at, strict=False)))
        while len(self._names) > same:
            self._names.pop()
            os.close(self._fds.pop())
        for name in at[same:]:
            self._fds.append(os.open(name, _DIRECTORY | _NO_LINK, dir_fd=self._fds[-1]))
            self._names.append(name)
        return self._fds[-1]
