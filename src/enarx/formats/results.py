"""The stream of a workload's results, in which the content of output directories travels (docs/spec/delivery.md, "Results").

For each output directory: the number of its entries as u32, then each entry as u16 length, head, and the content of a file.
"""

from __future__ import annotations

import hashlib
import struct

from enarx.formats.package import Node
from enarx.formats.wire import encode

COUNT = struct.Struct(">I")
SIZE = struct.Struct(">H")


class DirectoryDigest:
    """The digest of a directory with `count` entries, which are added in order: the SHA-256 of its index without times.

    Equal content has equal digests, whenever and wherever it was written.
    """

    def __init__(self, count: int) -> None:
        self._sha = hashlib.sha256(encode([None] * count)[: -count or None])

    def add(self, node: Node, content: bytes) -> None:
        """Add the next entry. `content` is the SHA-256 of a file's content."""
        self._sha.update(encode(Node(node.path, node.kind, node.size, content, "", node.executable).value()))

    def digest(self) -> bytes:
        """The digest of the entries so far."""
        return self._sha.digest()


def encode_entry(node: Node) -> bytes:
    """The length and head of an entry. A head is `[path, kind, size, mtime]`; the kinds are those of an index, without links."""
    head = encode([node.path, "x" if node.executable else node.kind, node.size, node.mtime])
    return SIZE.pack(len(head)) + head
