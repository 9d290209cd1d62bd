"""Where a delivered package goes: secrets and directories into the Keep's own memory, the module to the compiler."""

from __future__ import annotations

import os
from collections.abc import Callable

from enarx.errors import DeliveryError
from enarx.formats.package import Head, Manifest, Node
from enarx.keep import sandbox

PAGE = 4096
SLACK = 1 << 20
"""Bytes on top of what is asked for, for the file system's own pages."""

SECRETS_GUEST = "/run/secrets"


def in_pages(size: int) -> int:
    """Bytes that an entry of `size` takes in memory: its content, and a page for what kernel and keeper keep of it."""
    return PAGE - (-size // PAGE) * PAGE


class Storage:
    """The `delivery.content.Sink` of a Keep. `limit` is what the host lets this Keep hold, in bytes; `sized` is called once
    there is room for everything, before any of the directories' content is taken.

    Directory i of the manifest becomes `data`/i. Entries are created in the order of their index, each below a
    directory of that same index and never through a link, which `decode_index` has checked.
    """

    def __init__(
        self,
        manifest: Manifest,
        isolation: sandbox.Isolation,
        *,
        limit: int,
        compile: Callable[[bytes], None],
        sized: Callable[[], None],
    ) -> None:
        self._manifest = manifest
        self._isolation = isolation
        self._limit = limit
        self._compile = compile
        self._sized = sized
        self._open = -1
        self.head_: Head | None = None

    def head(self, head: Head) -> None:
        """Secrets become files that only the guest's process can read."""
        self.head_ = head
        for name, value in head.secrets:
            self._write(f"{self._isolation.secrets}/{name}", value)

    def wasm(self, module: bytes) -> None:
        """Compiling starts while the data still comes in."""
        self._compile(module)

    def trees(self, trees: list[list[Node]]) -> None:
        """Make room, then every directory, link and empty file."""
        need = sum(in_pages(n.size) for nodes in trees for n in nodes) + self._manifest.config.limits.disk + SLACK
        if need > self._limit:
            raise DeliveryError(
                "disk-limit",
                f"the package needs {need} bytes of files, the host gives {self._limit}",
                state="receiving",
            )
        if self._isolation.resizable:  # else a layer was left out, by name and loudly
            sandbox.resize(self._isolation, need)
        self._sized()
        for i, nodes in enumerate(trees):
            os.mkdir(self._path(i), 0o700)
            for node in nodes:
                self._create(self._path(i, node.path), node)

    def data(self, tree: int, node: Node, offset: int, piece: memoryview) -> None:
        """Append to the file at hand."""
        if offset == 0:
            self._open = os.open(self._path(tree, node.path), os.O_WRONLY)
        rest = piece
        while rest:
            rest = rest[os.write(self._open, rest) :]
        if offset + len(piece) == node.size:
            os.close(self._open)

    def dirs(self) -> list[list[object]]:
        """What the guest may open: (path here, path for the guest, writable)."""
        dirs = self._manifest.config.dirs
        found: list[list[object]] = [[self._path(i), d.guest, d.mode == "rw"] for i, d in enumerate(dirs)]
        if self._manifest.config.secrets:
            found.append([self._isolation.secrets, SECRETS_GUEST, False])
        return found

    def _path(self, tree: int, path: str = "") -> str:
        return f"{self._isolation.data}/{tree}" + (f"/{path}" if path else "")

    def _create(self, path: str, node: Node) -> None:
        if node.kind == "d":
            os.mkdir(path, 0o700)
        elif node.kind == "l":
            os.symlink(node.target, path)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def _write(self, path: str, value: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with open(fd, "wb") as file:
            file.write(value)
