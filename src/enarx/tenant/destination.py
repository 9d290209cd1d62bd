"""A directory on the tenant's machine that appears whole, with proven content, or not at all.

Files are written below a new directory beside it, `.NAME.enarx-XXXX`, which takes its name at the end. Each directory is opened
from its parent without following links, and stays open until its last entry is written. So another process that replaces a
directory by a link meanwhile cannot redirect what follows, and the replacement is noticed. On systems that cannot open relative
to a descriptor, paths are used.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat

from enarx.errors import UnavailableError, UsageError
from enarx.record import record

BY_DESCRIPTOR = {os.open, os.mkdir, os.rename, os.rmdir, os.stat, os.unlink} <= os.supports_dir_fd
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_THROUGH_LINKS = os.utime not in os.supports_follow_symlinks
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


Identity = tuple[int, int]
"""Device and inode."""


@record(kw_only=False)
class _Level:
    """An open directory: path, name, descriptor (None where paths are used), identity, and its time or None."""

    path: str
    name: str
    fd: int | None
    identity: Identity
    mtime: int | None


class Destination:
    """The directory `path`, which must be absent or empty; with `replace`, whatever it is, it is replaced as a whole."""

    def __init__(self, path: str, *, replace: bool) -> None:
        self.path = path
        self._whole = os.path.abspath(path)
        self._above, self._name = os.path.split(self._whole)
        self._replace = replace
        self._parent: int | None = None
        self._new = self._old = ""
        self._identity: Identity = (0, 0)
        self._installed = False
        self._levels: list[_Level] = []

    def check(self) -> None:
        """Require, before anything is delivered, that results can be put here. UsageError. No trace is left."""
        self._require_free()
        try:
            self._begin()
        except OSError as e:
            if isinstance(e, FileNotFoundError) and not os.path.isdir(self._above):
                message, hint = f"{self._above}: {e.strerror}", f"make it first: mkdir -p {self._above}"
            else:
                message = f"{self._above}: no directory can be made in it: {e.strerror}"
                hint = "name another place for the results"
            raise UsageError("out-write", message, hint=hint) from e
        finally:
            self.discard()

    def _require_free(self) -> None:
        try:
            status = os.lstat(self._whole)
        except FileNotFoundError:
            return
        except OSError as e:
            raise UsageError("out-path", f"{self.path}: {e.strerror}") from e
        other = "name a directory in it"
        if not stat.S_ISDIR(status.st_mode):
            raise UsageError("out-path", f"{self.path}: not a directory", hint="name another place for the results")
        if os.path.ismount(self._whole):
            raise UsageError("out-path", f"{self.path}: a mount point, which cannot be replaced as a whole", hint=other)
        for inner in (os.getcwd(), os.path.expanduser("~")):
            if _is_within(inner, self._whole):
                raise UsageError("out-path", f"{self.path}: {inner} lies in it", hint=other)
        try:
            empty = not os.listdir(self._whole)
        except OSError as e:
            raise UsageError("out-path", f"{self.path}: {e.strerror}") from e
        if not (empty or self._replace):
            hint = "name another directory, or add --replace, which replaces it as a whole"
            raise UsageError("out-exists", f"{self.path}: the directory is not empty", hint=hint)

    def begin(self) -> None:
        """Make the new directory. OSError."""
        if not self._new:
            self._begin()

    def _begin(self) -> None:
        if BY_DESCRIPTOR:
            self._parent = os.open(self._above, _DIRECTORY)
        new = f".{self._name[:64]}.enarx-{os.urandom(6).hex()}"
        self._mkdir(self._above, self._parent, new)
        self._new = new
        self._identity = _identify(self._above, self._parent, new)
        self._enter(self._above, self._parent, new, None)

    def up_to(self, depth: int) -> None:
        """Leave directories until `depth` of them are open, and give each its time. OSError."""
        while len(self._levels) > depth + 1:
            level = self._levels.pop()
            try:
                self._require_same(self._levels[-1], level.name, level.identity)
                if level.mtime is not None:
                    os.utime(level.path if level.fd is None else level.fd, ns=(level.mtime, level.mtime))
            finally:
                _close(level.fd)

    def directory(self, name: str, mtime: int | None) -> None:
        """Make a directory in the current one, and enter it. OSError."""
        here = self._levels[-1]
        self._mkdir(here.path, here.fd, name)
        self._enter(here.path, here.fd, name, mtime)

    def file(self, name: str, *, executable: bool) -> io.FileIO:
        """Make a file in the current directory; returns it, unbuffered. OSError."""
        here = self._levels[-1]
        mode = 0o700 if executable else 0o600
        return io.FileIO(os.open(_at(here.path, here.fd, name), _NEW, mode, dir_fd=here.fd), "wb")

    def close_file(self, file: io.FileIO, name: str, mtime: int | None) -> None:
        """Close a file of the current directory, and give it its time, in nanoseconds since 1970. OSError."""
        here = self._levels[-1]
        written = os.fstat(file.fileno())
        file.close()
        self._require_same(here, name, (written.st_dev, written.st_ino))
        if mtime is None:
            return
        os.utime(_at(here.path, here.fd, name), ns=(mtime, mtime), dir_fd=here.fd, follow_symlinks=_THROUGH_LINKS)

    def install(self) -> None:
        """Give the new directory its name. `keep` or `undo` must follow. OSError, and the destination is as before."""
        self.up_to(0)
        _close(self._levels.pop().fd)  # Windows renames no directory that is open
        if self._identity != _identify(self._above, self._parent, self._new):
            raise OSError(0, REPLACED)
        self._make_way()
        try:
            self._rename(self._new, self._name)
        except OSError:
            if self._old:
                self._rename(self._old, self._name)
                self._old = ""
            raise
        self._new, self._installed = "", True

    def _make_way(self) -> None:
        """Move a directory that is to be replaced aside; remove an empty one where renaming would not replace it."""
        if self._replace:
            old = f".{self._name[:64]}.enarx-old-{os.urandom(6).hex()}"
            with contextlib.suppress(FileNotFoundError):
                self._rename(self._name, old)
                self._old = old
        elif os.name == "nt":
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(self._whole)

    def undo(self) -> None:
        """Take back `install`, so that the destination is as before. OSError."""
        if self._installed:
            new = f".{self._name[:64]}.enarx-{os.urandom(6).hex()}"
            self._rename(self._name, new)
            self._new, self._installed = new, False
            if self._old:
                self._rename(self._old, self._name)
                self._old = ""
        self.discard()

    def keep(self) -> None:
        """Make `install` final: erase what was replaced."""
        if self._old:
            self._erase(self._old)
        self._close()

    def discard(self) -> None:
        """Erase what was written; the destination stays as it is. May be called at any time."""
        if self._new:
            self._erase(self._new)
            self._new = ""
        self._close()

    def _close(self) -> None:
        while self._levels:
            _close(self._levels.pop().fd)
        _close(self._parent)
        self._parent = None

    def _mkdir(self, path: str, fd: int | None, name: str) -> None:
        os.mkdir(_at(path, fd, name), 0o700, dir_fd=fd)

    def _enter(self, path: str, fd: int | None, name: str, mtime: int | None) -> None:
        inner = os.open(name, _DIRECTORY | _NO_LINK, dir_fd=fd) if BY_DESCRIPTOR else None
        self._levels.append(_Level(os.path.join(path, name), name, inner, _identify(path, fd, name), mtime))

    def _require_same(self, level: _Level, name: str, identity: Identity) -> None:
        if _identify(level.path, level.fd, name) != identity:
            raise OSError(0, REPLACED)

    def _rename(self, old: str, new: str) -> None:
        if self._parent is not None:
            os.rename(old, new, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        else:
            os.rename(os.path.join(self._above, old), os.path.join(self._above, new))

    def _erase(self, name: str) -> None:
        import shutil  # most results need no erasing

        if self._parent is not None and shutil.rmtree.avoids_symlink_attacks:
            shutil.rmtree(name, ignore_errors=True, dir_fd=self._parent)
        else:
            shutil.rmtree(os.path.join(self._above, name), ignore_errors=True)


REPLACED = "another process has replaced what was written"


def require_free(destinations: list[Destination]) -> None:
    """Require that results can be put into all of these. UsageError. No trace is left."""
    require_apart(destinations)
    for destination in destinations:
        destination.check()


def require_apart(destinations: list[Destination]) -> None:
    """UsageError if one destination is another, or lies in it."""
    for one in destinations:
        for other in destinations:
            if one is not other and _is_within(other._whole, one._whole):
                same = other._whole == one._whole
                message = (
                    "is given for two output directories" if same else f"lies in {one.path}, which is for other results"
                )
                raise UsageError("out-path", f"{other.path} {message}", hint="name a directory of its own for each")


def unwritten(path: str, e: OSError) -> UnavailableError:
    """The error for results that cannot be written. The destination is as before."""
    message = f"results cannot be written to {path}: {e.strerror or e}; it is as before"
    return UnavailableError("results-write", message, hint="free space, or name another directory with --out")


def _is_within(inner: str, outer: str) -> bool:
    inner, outer = os.path.realpath(inner), os.path.realpath(outer)
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


def _identify(path: str, fd: int | None, name: str) -> Identity:
    status = os.stat(_at(path, fd, name), dir_fd=fd, follow_symlinks=False)
    return status.st_dev, status.st_ino


def _at(path: str, fd: int | None, name: str) -> str:
    """What to open for `name` in a directory: relative to its descriptor, if there is one."""
    return os.path.join(path, name) if fd is None else name


def _close(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)
