"""The collector: a process without keys that reads the output directories once the workload is dead.

It can read /data and nothing else. The keeper passes its stream on without parsing it (docs/spec/delivery.md, "Results"):

    keeper     PREPARE, before the workload starts; a collector that is not needed is killed instead
    keeper     order: a CBOR list of the stream's limit in bytes, and of (number of a tree, path for the guest)
    collector  the stream, over a pipe; then its report (`core.workload.COLLECTED`)

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
from contextlib import suppress
from typing import Any

from enarx.errors import DeliveryError
from enarx.formats.bounds import MIB
from enarx.formats.package import MAX_ENTRIES, MAX_PATH, MAX_TIME, MAX_TREE_DEPTH, Node
from enarx.formats.results import COUNT, DirectoryDigest, encode_entry
from enarx.formats.wire import decode, encode
from enarx.keep import sandbox
from enarx.keep.children import Child
from enarx.keep.core.workload import COLLECTED

MAX_FILES = 2 * MAX_TREE_DEPTH
MAX_DATA = 256 * MIB
"""Bytes of private memory: the names of MAX_ENTRIES entries, and buffers."""

PREPARE = b"\0"
MAX_PACKET = 64 << 10
PIECE = 256 << 10
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
Trees = tuple[tuple[int, str], ...]
"""Numbers of trees, and their paths for the guest."""


def main(link: socket.socket, target: int, data: str, *, skip: frozenset[str], nproc: int) -> None:
    """Serve one order from `link`. The stream goes to `target`; `data` is the path of /data.

    The process confines itself when a workload with output directories is about to start. Before that no guest exists, and
    an idle Keep saves the memory that confining takes.
    """
    if not link.recv(len(PREPARE)):
        return  # the keeper has exited, which ends the Keep
    sandbox.confine(sandbox.COLLECTOR, skip=skip, nofile=MAX_FILES, nproc=nproc, data=MAX_DATA, read_only=(data,))
    packet = link.recv(MAX_PACKET)
    if not packet:
        return
    order: Any = decode(packet, "order")
    try:
        with io.BufferedWriter(io.FileIO(target, "w"), PIECE) as stream:
            report = COLLECTED + collect(data, order[1], order[0], stream.write)
    except DeliveryError as e:
        report = e.message.encode()
    except (OSError, MemoryError, UnicodeError) as e:  # no guest can cause these, only native code
        report = f"the output directories cannot be read: {type(e).__name__}".encode()
    link.send(report)


def collect(data: str, trees: Trees, room: int, write: Callable[[memoryview], object]) -> bytes:
    """Write the stream of these trees below `data`, and return their digests. DeliveryError, and nothing is written."""
    counts = []
    for number, guest in trees:
        counts.append(0)
        for node, _, _ in _walk(f"{data}/{number}", guest):
            counts[-1] += 1
            room -= len(encode_entry(node)) + node.size
            if room < 0:
                raise _refused(guest, "more data than limits.disk allows; a sparse file counts with its full length")
            if sum(counts) > MAX_ENTRIES:
                raise _refused(guest, f"more than {MAX_ENTRIES} entries in all output directories")
    return b"".join(
        _send(_walk(f"{data}/{number}", guest), count, write)
        for (number, guest), count in zip(trees, counts, strict=True)
    )


def _send(entries: Iterator[tuple[Node, str, int]], count: int, write: Callable[[memoryview], object]) -> bytes:
    """Write a directory's part of the stream; return its digest."""
    digest, buffer = DirectoryDigest(count), memoryview(bytearray(PIECE))
    write(memoryview(COUNT.pack(count)))
    for node, name, directory in entries:
        write(memoryview(encode_entry(node)))
        sha = hashlib.sha256()
        if node.size:
            with open(os.open(name, _READ, dir_fd=directory), "rb", buffering=0) as file:
                while size := file.readinto(buffer):
                    write(buffer[:size])
                    sha.update(buffer[:size])
        digest.add(node, sha.digest())
    return digest.digest()


def _walk(name: str, guest: str, *, above: str = "", parent: int | None = None) -> Iterator[tuple[Node, str, int]]:
    """Yield the entries of a directory in the order of an index, each with its name and the descriptor of its directory."""
    directory = os.open(name, _READ | os.O_DIRECTORY, dir_fd=parent)
    try:
        for inner in sorted(os.listdir(directory)):
            path, status = above + inner, os.stat(inner, dir_fd=directory, follow_symlinks=False)
            is_file = stat.S_ISREG(status.st_mode)
            if not (is_file or stat.S_ISDIR(status.st_mode)):
                raise _refused(guest, f"{path!r} is neither a file nor a directory")
            if path.count("/") >= MAX_TREE_DEPTH or len(path.encode()) >= MAX_PATH:
                raise _refused(guest, f"a path of more than {MAX_PATH} bytes or {MAX_TREE_DEPTH} levels")
            mtime = min(max(0, status.st_mtime_ns), MAX_TIME)
            executable = bool(status.st_mode & stat.S_IXUSR)
            if is_file:
                yield Node(path, "f", status.st_size, executable=executable, mtime=mtime), inner, directory
            else:
                yield Node(path, "d", mtime=mtime), inner, directory
                yield from _walk(inner, guest, above=f"{path}/", parent=directory)
    finally:
        os.close(directory)


def _refused(guest: str, why: str) -> DeliveryError:
    return DeliveryError("results", f"the results in {guest} cannot be returned: {why}", state="session")


class Collection:
    """The keeper's side: `stream` is the end of the pipe, not blocking."""

    def __init__(self, child: Child, link: socket.socket, stream: int) -> None:
        self.child, self.stream, self._link = child, stream, link
        os.set_blocking(stream, False)

    def prepare(self, *, wanted: bool) -> None:
        """Have the process confine itself, or end it if there is nothing to collect."""
        if wanted:
            with suppress(OSError):
                self._link.send(PREPARE)
        else:
            self.child.kill()
            self.child.reap(wait=True)

    def start(self, trees: Trees, room: int) -> None:
        """Send the order. A process that has ended takes none, and gives no report."""
        with suppress(OSError):
            self._link.send(encode([room, [list(tree) for tree in trees]]))

    def report(self) -> bytes:
        """Return the report, once the process has ended; empty if there is none."""
        with suppress(OSError):
            return self._link.recv(MAX_PACKET, socket.MSG_DONTWAIT)
        return b""
