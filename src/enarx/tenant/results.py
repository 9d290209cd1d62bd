"""Results: the output directories of a workload, unpacked from the Keep's stream as it arrives (docs/spec/delivery.md, "Results").

    results = Results(manifest.config, {"/out": "results"}, replace=False, times=False)
    results.check()                      before anything is delivered
    results.take(offset, data)           for each FILES record
    results.finish(final)                once the final record is verified: compares digests, puts directories into place
    results.discard()                    in any other case

The workload chose names and content, so everything is bounded, checked and written aside. A fault does not end the run: it is kept,
and `finish` raises it, because how the workload ended is proven all the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Generator, Mapping
from typing import Any

from enarx.delivery.messages import same
from enarx.delivery.reading import Final
from enarx.errors import DeliveryError, EnarxError, UnavailableError, UsageError
from enarx.formats.bounds import results_size
from enarx.formats.config import Config
from enarx.formats.package import MAX_ENTRIES, MAX_PATH, MAX_TIME, MAX_TREE_DEPTH, Node
from enarx.formats.results import COUNT, SIZE, DirectoryDigest
from enarx.formats.wire import decode
from enarx.record import record
from enarx.tenant import portable, tree
from enarx.tenant.destination import Destination, require_free, unwritten

Parser = Generator[int, memoryview, None]
"""Yields the number of bytes that it can take next, and is then sent at most that many."""


@record()
class Directory:
    """An output directory: its path for the guest, its proven digest, and what it holds.

    `path` is where it is on this machine; empty if it was not written.
    """

    guest: str
    digest: bytes
    files: int
    bytes: int
    path: str


class Results:
    """The output directories of one run, with a destination for each of `out`: paths on this machine by paths for the guest.

    A directory without a destination is verified and counted, but not written. With `times`, files get the times that they
    had in the Keep. UsageError for a destination of a directory that `config` does not have.
    """

    def __init__(self, config: Config, out: Mapping[str, str], *, replace: bool = False, times: bool = False) -> None:
        guests = [d.guest for d in config.dirs if d.mode == "out"]
        if unknown := sorted(set(out) - set(guests)):
            hint = f"its output directories: {', '.join(guests)}" if guests else "it has none"
            raise UsageError("out-unknown", f"{unknown[0]} is not an output directory of this workload", hint=hint)
        self.missing = [guest for guest in guests if guest not in out]
        self._destinations = {guest: Destination(os.fspath(path), replace=replace) for guest, path in out.items()}
        self._directories = [_Unpacking(guest, self._destinations.get(guest), times) for guest in guests]
        self._room = results_size(config.limits.disk)
        self._offset = 0
        self._error: EnarxError | None = None
        self._complete = False
        self._current = ""
        self._parser = self._parse()
        self._wanted = next(self._parser, 0)

    def check(self) -> None:
        """Require, before anything is delivered, that every destination can be written. UsageError."""
        require_free(list(self._destinations.values()))

    def take(self, offset: int, data: bytes) -> None:
        """Take the next bytes of the stream, which start at `offset` in it. Keeps an error for `finish`."""
        if self._error is not None:
            return
        try:
            if offset != self._offset:
                raise _lost()
            self._offset += len(data)
            if self._offset > self._room:
                raise _malformed(f"more than {self._room} bytes, which limits.disk allows")
            self._feed(memoryview(data))
        except OSError as e:
            self._error = unwritten(self._current, e)
            self.discard()
        except EnarxError as e:
            self._error = e
            self.discard()

    def finish(self, final: Final) -> tuple[Directory, ...]:
        """Put all directories into place, and return them; none if the Keep collected none.

        Raises the first error of `take`; DeliveryError if a digest is not the one that the Keep signed; UnavailableError if
        a directory cannot be written. After an error every destination is as before.
        """
        try:
            if not final.directories and not (self._offset and final.status.cause == "exit"):
                return ()  # it did not begin to run, or the status says why there are none
            if self._error is not None:
                raise self._error
            self._verify(dict(final.directories))
            self._install()
            return tuple(directory.outcome() for directory in self._directories)
        finally:
            self.discard()

    def discard(self) -> None:
        """Erase what was written and not put into place."""
        for directory in self._directories:
            directory.close()
        for destination in self._destinations.values():
            destination.discard()

    def _verify(self, digests: dict[str, bytes]) -> None:
        if set(digests) != {directory.guest for directory in self._directories}:
            raise _malformed("the final record names other directories")
        if not self._complete:
            raise _lost()
        for directory in self._directories:
            if not same(directory.digest(), digests[directory.guest]):
                raise _malformed(f"the content of {directory.guest} is not what the Keep signed", "results-forged")

    def _install(self) -> None:
        done: list[Destination] = []
        for destination in self._destinations.values():
            done.append(destination)
            try:
                destination.install()
            except OSError as e:
                for each in reversed(done):
                    with contextlib.suppress(OSError):
                        each.undo()
                raise unwritten(destination.path, e) from e
        for destination in done:
            destination.keep()

    def _feed(self, data: memoryview) -> None:
        while data and not self._complete:
            piece, data = data[: self._wanted], data[self._wanted :]
            try:
                self._wanted = self._parser.send(piece)
            except StopIteration:
                self._complete = True
        if data:
            raise _malformed("bytes after its end")

    def _parse(self) -> Parser:
        left = MAX_ENTRIES
        for directory in self._directories:
            self._current = directory.path
            (count,) = COUNT.unpack((yield from _exactly(COUNT.size)))
            left -= count
            if left < 0:
                raise _malformed(f"more than {MAX_ENTRIES} entries")
            directory.begin(count)
            for _ in range(count):
                (size,) = SIZE.unpack((yield from _exactly(SIZE.size)))
                node = _entry((yield from _exactly(size)))
                directory.open(node)
                rest = node.size
                while rest:
                    piece = yield rest
                    directory.write(piece)
                    rest -= len(piece)
                directory.end_entry()
            directory.end()


class _Unpacking:
    """One directory while it is unpacked. Its methods raise DeliveryError and, where it is written, OSError."""

    def __init__(self, guest: str, destination: Destination | None, times: bool) -> None:
        self.guest = guest
        self.path = "" if destination is None else destination.path
        self._destination = destination
        self._times = times
        self._above = [""]
        self._names: list[set[str]] = [set()]
        self._before = ""
        self._node: Node | None = None
        self._file: io.FileIO | None = None
        self._files = self._bytes = 0

    def begin(self, count: int) -> None:
        """Begin a directory of `count` entries."""
        self._digest = DirectoryDigest(count)
        if self._destination is not None:
            self._destination.begin()

    def open(self, node: Node) -> None:
        """Make the next entry: a directory, or a file whose content follows."""
        place = node.path.replace("/", "\0")
        if place <= self._before:
            raise _malformed("entries out of order or repeated")
        above, _, name = node.path.rpartition("/")
        while self._above and self._above[-1] != above:
            self._above.pop()
            self._names.pop()
        if not self._above:
            raise _malformed("an entry whose directory is missing")
        self._before, self._node, self._sha = place, node, hashlib.sha256()
        if self._destination is not None:
            self._require_portable(name, node.path)
            self._make(self._destination, name, node)
        if node.kind == "d":
            self._above.append(node.path)
            self._names.append(set())
        else:
            self._files += 1
            self._bytes += node.size

    def _require_portable(self, name: str, path: str) -> None:
        portable.check(name, path)
        key = portable.key(name)
        if key in self._names[-1]:
            why = "another name in its directory differs only in case, or in its form of Unicode"
            raise portable.refused(path, why)
        self._names[-1].add(key)

    def _make(self, destination: Destination, name: str, node: Node) -> None:
        destination.up_to(len(self._above) - 1)
        if node.kind == "d":
            destination.directory(name, node.mtime if self._times else None)
        else:
            self._file = destination.file(name, executable=node.executable)

    def write(self, piece: memoryview) -> None:
        """Add the next bytes of the current file."""
        self._sha.update(piece)
        while self._file is not None and piece:
            piece = piece[self._file.write(piece) or 0 :]

    def end_entry(self) -> None:
        """End the current entry, whose content is complete."""
        assert self._node is not None  # `open` came before
        self._digest.add(self._node, self._sha.digest())
        if self._file is not None and self._destination is not None:
            name, mtime = self._node.path.rpartition("/")[2], self._node.mtime if self._times else None
            self._destination.close_file(self._file, name, mtime)
            self._file = None

    def end(self) -> None:
        """End the directory, whose entries are complete."""
        if self._destination is not None:
            self._destination.up_to(0)

    def close(self) -> None:
        """Close a file that is still open."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def digest(self) -> bytes:
        """The digest of all entries."""
        return self._digest.digest()

    def outcome(self) -> Directory:
        """The directory, once it is put into place."""
        return Directory(guest=self.guest, digest=self.digest(), files=self._files, bytes=self._bytes, path=self.path)


def digest_of(path: str) -> bytes:
    """The digest of a directory on this machine, as a final record names it. UsageError if it cannot be read."""
    nodes = tree.read(path).nodes
    digest = DirectoryDigest(len(nodes))
    for node in nodes:
        if node.kind == "l":
            raise UsageError("dir-kind", f"{path}: {node.path} is a link, and results have none")
        digest.add(node, node.digest)
    return digest.digest()


def _entry(head: bytes) -> Node:
    """The entry in a head; DeliveryError. `_Unpacking` checks that it lies in a directory before it."""
    try:
        value: Any = decode(head, "results")
    except EnarxError as e:
        raise _malformed(e.message) from e
    match value:
        case [str(path), "d" | "f" | "x" as kind, int(size), int(time)] if (
            type(size) is type(time) is int and size >= 0 and 0 <= time <= MAX_TIME and (kind != "d" or not size)
        ):
            if path.count("/") < MAX_TREE_DEPTH and len(path.encode()) < MAX_PATH:
                return Node(path, "d" if kind == "d" else "f", size, b"", "", kind == "x", time)
    raise _malformed("an entry is neither directory nor file")


def _exactly(size: int) -> Generator[int, memoryview, bytes]:
    data = bytearray()
    while len(data) < size:
        data += yield size - len(data)
    return bytes(data)


def _lost() -> UnavailableError:
    hint = "fetch them again: enarx keep logs KEEP --out DIR::GUEST"
    return UnavailableError("results-lost", "the host dropped a part of the results", hint=hint)


def _malformed(message: str, code: str = "results-malformed") -> DeliveryError:
    return DeliveryError(code, f"results: {message}", state="session")
