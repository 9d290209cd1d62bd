"""Streams of results as a Keep sends them, and as one that was taken over could send them."""

from __future__ import annotations

import hashlib

from enarx.delivery.reading import Final
from enarx.delivery.session import Status
from enarx.formats.config import Config, Dir, Limits
from enarx.formats.package import Node
from enarx.formats.results import COUNT, SIZE, DirectoryDigest, encode_entry
from enarx.formats.wire import encode

Entry = tuple[str, str, bytes]
"""Path, kind (d, f or x) and content."""


def raw(head: object, content: bytes = b"") -> bytes:
    """An entry with any head."""
    data = encode(head)
    return SIZE.pack(len(data)) + data + content


def stream(*directories: tuple[Entry, ...], mtime: int = 0) -> bytes:
    """The stream of these directories, whose entries may come in any order and have any name."""
    data = bytearray()
    for entries in directories:
        data += COUNT.pack(len(entries))
        for path, kind, content in entries:
            data += encode_entry(node(path, kind, content, mtime)) + content
    return bytes(data)


def node(path: str, kind: str, content: bytes, mtime: int = 0) -> Node:
    return Node(path, "d" if kind == "d" else "f", len(content), executable=kind == "x", mtime=mtime)


def digest(entries: tuple[Entry, ...]) -> bytes:
    """The digest of a directory with these entries."""
    whole = DirectoryDigest(len(entries))
    for path, kind, content in entries:
        whole.add(node(path, kind, content), hashlib.sha256(content).digest())
    return whole.digest()


def final(digests: dict[str, bytes], cause: str = "exit") -> Final:
    """A final record, whose signature was verified before."""
    return Final(
        status=Status(cause=cause),
        records=1,
        digests=(bytes(32), bytes(32)),
        directories=tuple(digests.items()),
        providers=(),
        body=b"",
        signature=b"",
    )


def config(*guests: str, disk: int = 1 << 20) -> Config:
    """A configuration with these output directories."""
    return Config(limits=Limits(disk=disk), dirs=tuple(Dir(guest=guest, mode="out") for guest in guests))
