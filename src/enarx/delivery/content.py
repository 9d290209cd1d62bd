"""The plaintext of a sealed package, parsed and checked as it arrives (docs/spec/delivery.md, "Sealed content"):

    head length u32 | head | Wasm module | index of each directory | content of each file, in the order of the indexes

`Receiver` takes the plaintext in pieces of any size and yields its parts. It checks each part against the manifest before
it looks at the next, so nothing that the owner did not sign decides how the rest is read.

    receiver = Receiver(manifest)
    for part in receiver.feed(plaintext):
        store(part)
    receiver.finish()
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

from enarx.delivery.messages import same
from enarx.errors import DeliveryError
from enarx.formats.package import MAX_ENTRIES, MAX_HEAD, Head, Manifest, Node, commit_dir, decode_index
from enarx.record import record


@record(kw_only=False, hidden=("data",))
class Module:
    """The Wasm module, whole, with the digest that the manifest names."""

    data: bytes


@record(kw_only=False, hidden=("trees",))
class Trees:
    """The entries of every directory of the configuration; none for those that a provider provides. Yielded once."""

    trees: list[list[Node]]


@record(kw_only=False)
class FilePiece:
    """The next bytes of the file `node` of directory number `tree`.

    `data` lies in the buffer that was fed. The file's digest is only checked after its last piece: if it is wrong, the
    Receiver raises, and nothing that was stored may be used.
    """

    tree: int
    node: Node
    offset: int
    data: memoryview


Part = Head | Module | Trees | FilePiece

NOTHING = memoryview(b"")
"""Resumes the parser after a part."""

Parser = Generator[int | Part, memoryview, None]
"""Yields the number of bytes that it can take next, and is then sent at most that many; or yields a part."""


class Hash(Protocol):
    """The part of hashlib's interface that `Receiver` needs."""

    def update(self, data: memoryview, /) -> None:
        """Add the next bytes to the hash."""

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""
        ...


class Receiver:
    """Parses one package. `complete` is set after its last byte. `sha256` makes the running hash of each file."""

    def __init__(self, manifest: Manifest, *, sha256: Callable[[], Hash] = hashlib.sha256) -> None:
        self._manifest = manifest
        self._sha256 = sha256
        self._parser = self._parse()
        self._wanted = next(self._parser)
        self.complete = False

    def feed(self, data: memoryview) -> Iterator[Part]:
        """Yield the parts that `data` completes; DeliveryError or ParseError at the first fault.

        The iterator is lazy: the bytes after a part are not read before the next part is asked for. Exhaust it
        before the next call.
        """
        while len(data) and not self.complete:
            assert isinstance(self._wanted, int)  # parts are yielded below
            piece, data = data[: self._wanted], data[self._wanted :]
            yield from self._parts(piece)
        if len(data):
            raise broken("content-trailing", "bytes after the end of the package")

    def _parts(self, piece: memoryview) -> Iterator[Part]:
        try:
            self._wanted = self._parser.send(piece)
            while not isinstance(self._wanted, int):
                yield self._wanted
                self._wanted = self._parser.send(NOTHING)
        except StopIteration:
            self.complete = True

    def finish(self) -> None:
        """Raise DeliveryError unless the package is complete: the sealed stream has ended."""
        if not self.complete:
            raise broken("content-short", "the sealed stream ends before the package does")

    def _parse(self) -> Parser:
        size = int.from_bytes((yield from exactly(4)), "big")
        if size > MAX_HEAD:
            raise broken("content-head", f"a head of {size} bytes, at most {MAX_HEAD}")
        head = Head.from_bytes((yield from exactly(size)), self._manifest)
        yield head
        module = yield from exactly(head.wasm_size)
        if not same(hashlib.sha256(module).digest(), self._manifest.wasm):
            raise broken("content-wasm", "the Wasm module is not the manifest's")
        yield Module(module)
        trees: list[list[Node]] = [[] for _ in self._manifest.config.dirs]
        for i, index_size, commitment in zip(
            self._manifest.own_dirs, head.index_sizes, self._manifest.dirs, strict=True
        ):
            index = yield from exactly(index_size)
            if not same(commit_dir(head.salt, self._manifest.config.dirs[i].guest, index), commitment):
                raise broken("content-index", f"the index of directory {i} is not the manifest's")
            trees[i] = decode_index(index, MAX_ENTRIES - sum(map(len, trees)))
        yield Trees(trees)
        for i, nodes in enumerate(trees):
            for node in nodes:
                yield from self._file(i, node)

    def _file(self, tree: int, node: Node) -> Parser:
        if node.kind != "f":
            return
        sha, offset = self._sha256(), 0
        while offset < node.size:
            piece = yield node.size - offset
            sha.update(piece)
            yield FilePiece(tree, node, offset, piece)
            offset += len(piece)
        if not same(sha.digest(), node.digest):
            raise broken("content-file", f"a file of directory {tree} is not the one in its index")


def exactly(size: int) -> Generator[int, memoryview, bytes]:
    """A step of a parser: the next `size` bytes."""
    data = bytearray()
    while len(data) < size:
        data += yield size - len(data)
    return bytes(data)


def broken(code: str, message: str) -> DeliveryError:
    """Return the error for content that is not what the manifest says."""
    return DeliveryError(code, message, state="receiving")


def sealed_size(head: bytes, wasm: int, indexes: list[bytes], trees: list[list[Node]]) -> int:
    """Return the plaintext bytes of a package, which progress is counted against."""
    return 4 + len(head) + wasm + sum(map(len, indexes)) + sum(n.size for nodes in trees for n in nodes)
