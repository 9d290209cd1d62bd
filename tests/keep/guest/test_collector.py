"""The collector: what it sends of a tree, what it refuses, and what its sandbox lets it do."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from enarx.errors import DeliveryError
from enarx.formats.config import Config, Dir
from enarx.formats.package import MAX_TREE_DEPTH, Node, encode_index
from enarx.keep import sandbox
from enarx.keep.children import fork
from enarx.keep.core.workload import COLLECTED
from enarx.keep.guest import collector
from enarx.tenant.results import Results
from tests.keep.guest.test_runner import NO_USER_NAMESPACE

ROOM = 1 << 30


def collected(data: Path, *numbers: int, room: int = ROOM) -> tuple[bytes, bytes]:
    """The digests of trees below `data`, and the stream."""
    stream: list[bytes] = []
    trees = tuple((number, f"/out{number}") for number in numbers)
    digests = collector.collect(str(data), trees, room, lambda piece: stream.append(bytes(piece)))
    return digests, b"".join(stream)


def refused(data: Path, *numbers: int, room: int = ROOM) -> str:
    """The reason why no part of these trees is sent."""
    stream: list[bytes] = []
    trees = tuple((number, f"/out{number}") for number in numbers)
    with pytest.raises(DeliveryError) as e:
        collector.collect(str(data), trees, room, lambda piece: stream.append(bytes(piece)))
    assert stream == []
    assert e.value.message.startswith(f"the results in /out{numbers[-1]} cannot be returned: ")
    return e.value.message.partition("returned: ")[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    (tmp_path / "0" / "file").write_bytes(b"content")
    return tmp_path


def test_the_digest_is_that_of_the_index(data: Path) -> None:
    (data / "0" / "d").mkdir()
    (data / "0" / "d" / "x").write_bytes(b"#!")
    (data / "0" / "d" / "x").chmod(0o700)
    (data / "0" / "d-").write_bytes(b"")  # sorts before d/x as text, and after it by component
    nodes = [
        Node("d", "d"),
        Node("d/x", "f", size=2, digest=hashlib.sha256(b"#!").digest(), executable=True),
        Node("d-", "f", digest=hashlib.sha256(b"").digest()),
        Node("file", "f", size=7, digest=hashlib.sha256(b"content").digest()),
    ]
    digests, _ = collected(data, 0, 1)
    assert digests == b"".join(hashlib.sha256(encode_index(each)).digest() for each in (nodes, []))


def test_what_it_sends_is_what_a_tenant_unpacks(data: Path, tmp_path: Path) -> None:
    big = os.urandom(3 * collector.PIECE + 1)
    (data / "0" / "big").write_bytes(big)
    _, stream = collected(data, 0)
    config = Config().replace(dirs=(Dir(guest="/out0", mode="out"),))
    results = Results(config, {"/out0": str(tmp_path / "results")})
    for at in range(0, len(stream), 1000):
        results.take(at, stream[at : at + 1000])
    results._install()
    assert (tmp_path / "results" / "big").read_bytes() == big
    assert (tmp_path / "results" / "file").read_bytes() == b"content"


def test_the_room_is_that_of_the_stream(data: Path) -> None:
    _, stream = collected(data, 0, 1)
    entries = len(stream) - 8  # the counts
    assert collected(data, 0, 1, room=entries)[1] == stream
    assert "limits.disk" in refused(data, 0, room=entries - 1)


def test_a_sparse_file_counts_in_full(data: Path) -> None:
    with (data / "0" / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert "sparse file counts with its full length" in refused(data, 0)


def test_links_are_neither_followed_nor_sent(data: Path) -> None:
    (data / "1" / "link").symlink_to("/etc/hostname")
    assert refused(data, 0, 1) == "'link' is neither a file nor a directory"
    (data / "1" / "link").unlink()
    (data / "1" / "link").symlink_to(data / "0")
    assert refused(data, 0, 1) == "'link' is neither a file nor a directory"


def test_a_pipe_and_a_socket_are_refused(data: Path) -> None:
    os.mkfifo(data / "1" / "pipe")
    assert refused(data, 1) == "'pipe' is neither a file nor a directory"
    (data / "1" / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(data / "1" / "s"))
        assert refused(data, 1) == "'s' is neither a file nor a directory"


def test_depth(data: Path) -> None:
    at = data / "1"
    for _ in range(MAX_TREE_DEPTH):
        at /= "d"
        at.mkdir()
    assert collected(data, 1)[1].count(b"d/d") > 0
    (at / "f").write_bytes(b"")
    assert f"{MAX_TREE_DEPTH} levels" in refused(data, 1)


def test_the_number_of_entries_is_that_of_all_trees(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MAX_ENTRIES", 3)
    for name in "ab":
        (data / "1" / name).write_bytes(b"")
    assert len(collected(data, 0, 1)[0]) == 64
    (data / "1" / "c").write_bytes(b"")
    assert refused(data, 0, 1) == "more than 3 entries in all output directories"


class Process:
    """A real collector in its sandbox."""

    def __init__(self, data: Path) -> None:
        link, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        stream, target = os.pipe()

        def work() -> None:
            sandbox.close_others(frozenset((theirs.fileno(), target)))
            collector.main(theirs, target, str(data), skip=NO_USER_NAMESPACE, nproc=64)

        self.collection = collector.Collection(fork(work), link, stream)
        theirs.close()
        os.close(target)

    def order(self, *trees: tuple[int, str], room: int = ROOM) -> tuple[bytes, bytes]:
        """The report to such an order, and the stream."""
        self.collection.prepare(wanted=True)
        self.collection.start(trees, room)
        os.set_blocking(self.collection.stream, True)
        data = b""
        while piece := os.read(self.collection.stream, 1 << 16):
            data += piece
        assert self.collection.child.reap(seconds=20)
        report = self.collection.report()
        self.close()
        return report, data

    def close(self) -> None:
        self.collection.child.kill()
        self.collection.child.reap(wait=True)
        self.collection._link.close()
        os.close(self.collection.stream)


def test_in_its_sandbox(data: Path) -> None:
    report, stream = Process(data).order((0, "/out0"), (1, "/out1"))
    digests, wanted = collected(data, 0, 1)
    assert (report, stream) == (COLLECTED + digests, wanted)


def test_it_reports_a_refusal(data: Path) -> None:
    os.mkfifo(data / "0" / "pipe")
    report, stream = Process(data).order((0, "/out0"))
    assert report == b"the results in /out0 cannot be returned: 'pipe' is neither a file nor a directory"
    assert stream == b""


def test_it_can_read_nothing_but_data(data: Path) -> None:
    outside: Any = "../1"
    assert collector.collect(str(data / "0"), ((outside, "/out"),), ROOM, lambda piece: None)  # without the sandbox
    report, stream = Process(data / "0").order((outside, "/out"))
    assert (report, stream) == (b"the output directories cannot be read: PermissionError", b"")


def test_a_name_that_is_not_utf_8(data: Path) -> None:
    with open(os.fsencode(data / "1") + b"/\xff", "wb"):
        pass
    report, stream = Process(data).order((1, "/out"))
    assert (report, stream) == (b"the output directories cannot be read: UnicodeEncodeError", b"")


def test_it_ends_with_the_keeper(data: Path) -> None:
    process = Process(data)
    process.collection._link.close()
    assert process.collection.child.reap(seconds=20)
    assert process.collection.child.status == 0
    os.close(process.collection.stream)
