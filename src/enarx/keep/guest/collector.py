"""The collector: a process without keys that reads the output directories once the workload is dead.

It can read /data and nothing else. The keeper passes its stream on without parsing it (docs/spec/delivery.md, "Results"):

    keeper     order: a CBOR list of the stream's limit in bytes, and of (number of a tree, path for the guest)
    collector  the stream, over a pipe; then its report: a CBOR list of digests, or a text that says what is wrong

All entries are examined before the first is sent. The workload, which could change them, is dead by then. A collector that a
workload has taken over could send what that workload could have written.
"""

from __future__ import annotations

import hashlib
import io
import os
import socket
import stat
from collections.abc import Callable, Iterator
from typing import Any

from enarx.errors import DeliveryError
from enarx.formats import bounds
from enarx.formats.package import MAX_ENTRIES, MAX_PATH, MAX_TIME, MAX_TREE_DEPTH, Node
from enarx.formats.results import COUNT, DirectoryDigest, encode_entry
from enarx.formats.wire import decode, encode
from enarx.keep import sandbox
from enarx.keep.children import Child

MAX_FILES = 2 * MAX_TREE_DEPTH
MAX_DATA = 256 * bounds.MIB
"""Bytes of private memory: the names of MAX_ENTRIES entries, and buffers."""

MAX_PACKET = 64 << 10
PIECE = 256 << 10
MAX_REASON = 500
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = _READ | os.O_DIRECTORY
Entry = tuple[Node, str, int]
"""An entry, with its name and the descriptor of the directory that it is in."""


def main(link: socket.socket, target: int, data: str, *, skip: frozenset[str], nproc: int) -> None:
    """Confine this process, then serve one order from `link`. The stream goes to `target`; `data` is the path of /data."""
    sandbox.confine(sandbox.COLLECTOR, skip=skip, nofile=MAX_FILES, nproc=nproc, data=MAX_DATA, read_only=(data,))
    packet = link.recv(MAX_PACKET)
    if not packet:
        return  # the keeper has exited, which ends the Keep
    order: Any = decode(packet, "order")
    try:
        with io.BufferedWriter(io.FileIO(target, "w"), PIECE) as stream:
            report: object = collect(data, order[1], order[0], stream.write)
    except DeliveryError as e:
        report = e.message[:MAX_REASON]
    except OSError as e:
        report = f"the output directories cannot be read: {e.strerror}"
    except MemoryError:
        report = "the output directories take more memory to collect than a Keep has"
    link.send(encode(report))


def collect(data: str, trees: list[tuple[int, str]], room: int, write: Callable[[memoryview], object]) -> list[bytes]:
    """Write the stream of these trees below `data`; return the digest of each. DeliveryError, and nothing is written."""
    counts, left = [], MAX_ENTRIES
    for number, guest in trees:
        count = 0
        for node, _, _ in _walk(f"{data}/{number}", guest):
            count += 1
            room -= len(encode_entry(node)) + node.size
            if room < 0:
                raise _wrong(guest, "more data than limits.disk allows; the length of a sparse file counts in full")
            if count > left:
                raise _wrong(guest, f"more than {MAX_ENTRIES} entries in all output directories")
        left -= count
        counts.append(count)
    return [
        _send(f"{data}/{number}", guest, count, write) for (number, guest), count in zip(trees, counts, strict=True)
    ]


def _send(root: str, guest: str, count: int, write: Callable[[memoryview], object]) -> bytes:
    """Write a directory's part of the stream; return its digest."""
    index, buffer = DirectoryDigest(count), memoryview(bytearray(PIECE))
    write(memoryview(COUNT.pack(count)))
    for node, name, directory in _walk(root, guest):
        write(memoryview(encode_entry(node)))
        sha, size = hashlib.sha256(), 0
        if node.kind == "f":
            with open(os.open(name, _READ, dir_fd=directory), "rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    write(buffer[:count])
                    sha.update(buffer[:count])
                    size += count
        if size != node.size:
            raise _wrong(guest, "a file that changed while it was read")
        index.add(node, sha.digest())
    return index.digest()


def _walk(root: str, guest: str) -> Iterator[Entry]:
    """Yield the entries of a tree in the order of an index. Links are not followed, and not accepted."""
    top = os.open(root, _DIRECTORY)
    try:
        yield from _below(top, "", guest)
    finally:
        os.close(top)


def _below(directory: int, above: str, guest: str) -> Iterator[Entry]:
    for name in _names(directory, guest):
        path = f"{above}{name}"
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        is_directory = stat.S_ISDIR(status.st_mode)
        if not is_directory and not stat.S_ISREG(status.st_mode):
            raise _wrong(guest, f"{path!r} is neither a file nor a directory")
        if path.count("/") >= MAX_TREE_DEPTH or len(path.encode()) >= MAX_PATH:
            raise _wrong(guest, f"a path of more than {MAX_PATH} bytes or {MAX_TREE_DEPTH} levels")
        time = min(max(0, status.st_mtime_ns), MAX_TIME)
        if not is_directory:
            yield Node(path, "f", status.st_size, b"", "", bool(status.st_mode & stat.S_IXUSR), time), name, directory
            continue
        yield Node(path, "d", mtime=time), name, directory
        inner = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            yield from _below(inner, f"{path}/", guest)
        finally:
            os.close(inner)


def _names(directory: int, guest: str) -> list[str]:
    names: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > MAX_ENTRIES:
                raise _wrong(guest, f"more than {MAX_ENTRIES} entries in a directory")
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        raise _wrong(guest, "a name that is not UTF-8") from None
    return sorted(names)


def _wrong(guest: str, message: str) -> DeliveryError:
    return DeliveryError("results", f"the results in {guest} cannot be returned: {message}", state="session")


class Collection:
    """The keeper's side: `stream` is the end of the pipe, not blocking."""

    def __init__(self, child: Child, link: socket.socket, stream: int) -> None:
        self.child, self.stream, self._link = child, stream, link
        os.set_blocking(stream, False)

    def start(self, trees: tuple[tuple[int, str], ...], room: int) -> None:
        """Send the order. OSError if the process has ended."""
        self._link.send(encode([room, [list(tree) for tree in trees]]))

    def report(self) -> bytes:
        """Return the report, once the process has ended; empty if there is none."""
        try:
            return self._link.recv(MAX_PACKET, socket.MSG_DONTWAIT)
        except OSError:
            return b""
