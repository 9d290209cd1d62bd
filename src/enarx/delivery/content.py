"""What a sealed package holds, in order (docs/spec/delivery.md, "Sealed content"):

    head length u32 | head | Wasm module | index of each directory | content of each file, in the order of the indexes

`Receiver` takes it in pieces of any size and checks each part against the manifest before the next is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from typing import Protocol

from enarx.delivery.messages import same
from enarx.errors import DeliveryError
from enarx.formats.package import MAX_ENTRIES, MAX_HEAD, Head, Manifest, Node, commit_dir, decode_index

Need = Generator[int, memoryview, None]


class Hash(Protocol):
    """What `Receiver` needs of a running SHA-256."""

    def update(self, data: memoryview, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """The digest of all bytes taken."""
        ...


class Sink(Protocol):
    """Where a package goes: called in this order, each with data that has been checked, but for `data`.

    The pieces of a file come before its digest is known to be right; a wrong one raises in the Receiver, and nothing
    that was put down may then be used.
    """

    def head(self, head: Head) -> None:
        """Arguments, environment, secrets."""

    def wasm(self, module: bytes) -> None:
        """The module, whole."""

    def trees(self, trees: list[list[Node]]) -> None:
        """All directories' entries; called also when there are none."""

    def data(self, tree: int, node: Node, offset: int, piece: memoryview) -> None:
        """A piece of a file, in order; the memory is the caller's again afterwards."""


class Receiver:
    """Feeds a package's bytes to a sink, checked. `complete` is set once everything has been taken."""

    def __init__(self, manifest: Manifest, sink: Sink, *, sha256: Callable[[], Hash] = hashlib.sha256) -> None:
        self._manifest = manifest
        self._sink = sink
        self._sha256 = sha256
        self._parser = self._parse()
        self._wanted = next(self._parser)
        self.complete = False

    def feed(self, data: memoryview) -> None:
        """Take the next bytes; DeliveryError or ParseError as soon as something is wrong."""
        while len(data) and not self.complete:
            piece = data[: self._wanted]
            data = data[len(piece) :]
            try:
                self._wanted = self._parser.send(piece)
            except StopIteration:
                self.complete = True
        if len(data):
            raise _broken("content-trailing", "bytes after the end of the package")

    def finish(self) -> None:
        """The stream has ended: was that all?"""
        if not self.complete:
            raise _broken("content-short", "the sealed package ends before its time")

    def _parse(self) -> Need:
        """A generator that yields how many bytes it can take next, and is sent at most as many."""
        size = int.from_bytes((yield from _whole(4)), "big")
        if size > MAX_HEAD:
            raise _broken("content-head", f"a head of {size} bytes, at most {MAX_HEAD}")
        head = Head.from_bytes((yield from _whole(size)), self._manifest)
        self._sink.head(head)
        module = yield from _whole(head.wasm_size)
        if not same(hashlib.sha256(module).digest(), self._manifest.wasm):
            raise _broken("content-wasm", "the Wasm module is not the one of the manifest")
        self._sink.wasm(module)
        trees: list[list[Node]] = []
        for i, index_size in enumerate(head.index_sizes):
            index = yield from _whole(index_size)
            if not same(commit_dir(head.salt, self._manifest.config.dirs[i].guest, index), self._manifest.dirs[i]):
                raise _broken("content-index", f"directory {i} is not the one of the manifest")
            trees.append(decode_index(index, MAX_ENTRIES - sum(map(len, trees))))
        self._sink.trees(trees)
        for i, nodes in enumerate(trees):
            for node in nodes:
                yield from self._file(i, node)

    def _file(self, tree: int, node: Node) -> Need:
        if node.kind != "f":
            return
        sha, offset = self._sha256(), 0
        while offset < node.size:
            piece = yield node.size - offset
            sha.update(piece)
            self._sink.data(tree, node, offset, piece)
            offset += len(piece)
        if not same(sha.digest(), node.digest):
            raise _broken("content-file", f"a file of directory {tree} is not the one of the manifest")


def _whole(size: int) -> Generator[int, memoryview, bytes]:
    data = bytearray()
    while len(data) < size:
        data += yield size - len(data)
    return bytes(data)


def _broken(code: str, message: str) -> DeliveryError:
    return DeliveryError(code, message, state="receiving")


def sealed_size(head: bytes, wasm: int, indexes: list[bytes], trees: list[list[Node]]) -> int:
    """Bytes of plaintext in the sealed package, for progress."""
    return 4 + len(head) + wasm + sum(map(len, indexes)) + sum(n.size for nodes in trees for n in nodes)
