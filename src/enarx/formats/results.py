"""The stream of a workload's results, in which the content of output directories travels (docs/spec/delivery.md, "Results").

For each output directory: the number of its entries as u32, then each entry as u16 length, head, and the content of a file.
"""

from __future__ import annotations

import struct
from typing import Any

from enarx.formats.package import MAX_TIME, Node, fail
from enarx.formats.wire import decode, encode

COUNT = struct.Struct(">I")
SIZE = struct.Struct(">H")
MAX_SIZE = (1 << 63) - 1


def encode_entry(node: Node) -> bytes:
    """The length and head of an entry. A head is `[path, kind, size, mtime]`; the kinds are those of an index, without links."""
    head = encode([node.path, "x" if node.executable else node.kind, node.size, node.mtime])
    return SIZE.pack(len(head)) + head


def decode_entry(head: bytes) -> Node:
    """The entry in a head, whose path is not checked; ParseError."""
    value: Any = decode(head, "results")
    match value:
        case [str(path), "d" | "f" | "x" as kind, int(size), int(time)] if (
            type(size) is type(time) is int and 0 <= size <= MAX_SIZE and 0 <= time <= MAX_TIME
        ):
            if kind != "d" or not size:
                return Node(path, "d" if kind == "d" else "f", size, b"", "", kind == "x", time)
    raise fail("results-entry", "results", "an entry is neither directory nor file")
