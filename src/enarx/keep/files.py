"""Storage for a delivered package: secrets and directories become files in the Keep's own memory file systems."""

from __future__ import annotations

import os
from collections.abc import Callable

from enarx.delivery.content import FilePiece
from enarx.formats.package import FIXED_TIME, Node
from enarx.keep import sandbox

SECRETS_GUEST = "/run/secrets"


class Storage:
    """The storage actions of the core. `sized` is called once, after /data has its size and before any file is created.

    Directory i of the manifest becomes `data`/i. `formats.package.decode_index` has checked the entries: each one's
    parent is an earlier entry of the same index and a directory, so creating them in order follows no link.
    """

    def __init__(self, isolation: sandbox.Isolation, *, sized: Callable[[], None]) -> None:
        self._isolation = isolation
        self._sized = sized
        self._open = -1

    def secrets(self, secrets: tuple[tuple[str, bytes], ...]) -> None:
        """Write each secret to a file of mode 0400 in a directory that only the runner's Landlock rules include."""
        for name, value in secrets:
            fd = os.open(f"{self._isolation.secrets}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with open(fd, "wb") as file:
                file.write(value)

    def trees(self, trees: list[list[Node]], size: int) -> None:
        """Set the size of /data to `size` bytes, then create every directory, link and empty file.

        Writing a file does not change the time of its directory, so directories have their final times already.
        """
        if self._isolation.resizable:  # unless the mount or user namespace was left out by name
            sandbox.resize(self._isolation, size)
        self._sized()
        for i, nodes in enumerate(trees):
            os.mkdir(self._path(i), 0o700)
            for node in nodes:
                self._create(self._path(i, node.path), node)
            for node in nodes:
                if node.kind == "d":  # only now: each entry that is created changes the time of its directory
                    os.utime(self._path(i, node.path), ns=(node.mtime, node.mtime), follow_symlinks=False)
            os.utime(self._path(i), ns=(FIXED_TIME, FIXED_TIME))

    def piece(self, piece: FilePiece) -> None:
        """Append a piece to its file. Pieces come in order, so at most one file is open."""
        if piece.offset == 0:
            self._open = os.open(self._path(piece.tree, piece.node.path), os.O_WRONLY)
        rest = piece.data
        while rest:
            rest = rest[os.write(self._open, rest) :]
        if piece.offset + len(piece.data) == piece.node.size:
            os.utime(self._open, ns=(piece.node.mtime, piece.node.mtime))
            os.close(self._open)

    def guest_dirs(self, dirs: tuple[tuple[int, str, bool], ...], *, secrets: bool) -> list[list[object]]:
        """Return the directories that the guest may open: (path here, path for the guest, writable)."""
        paths: list[list[object]] = [[self._path(tree), guest, writable] for tree, guest, writable in dirs]
        if secrets:
            paths.append([self._isolation.secrets, SECRETS_GUEST, False])
        return paths

    def _path(self, tree: int, path: str = "") -> str:
        return f"{self._isolation.data}/{tree}" + (f"/{path}" if path else "")

    def _create(self, path: str, node: Node) -> None:
        if node.kind == "d":
            os.mkdir(path, 0o700)
        elif node.kind == "l":
            os.symlink(node.target, path)
        else:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700 if node.executable else 0o600)
            if not node.size:  # no piece will follow
                os.utime(fd, ns=(node.mtime, node.mtime))
            os.close(fd)
