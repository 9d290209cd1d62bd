"""The stream of results: its digests are those of an index."""

from __future__ import annotations

import hashlib

import pytest

from enarx.formats.package import Node, encode_index
from enarx.formats.results import SIZE, DirectoryDigest, encode_entry
from enarx.formats.wire import decode


@pytest.mark.parametrize("count", [0, 1, 23, 24, 255, 256, 65536])
def test_a_digest_is_that_of_the_index(count: int) -> None:
    nodes = [
        Node(f"{i:06}", "f", size=i, digest=hashlib.sha256(b"%d" % i).digest(), executable=i % 2 == 0)
        for i in range(count)
    ]
    digest = DirectoryDigest(count)
    for node in nodes:
        digest.add(Node(node.path, "f", node.size, executable=node.executable, mtime=5), node.digest)
    assert digest.digest() == hashlib.sha256(encode_index(nodes)).digest()


def test_a_digest_does_not_depend_on_times() -> None:
    digests = set()
    for time in (0, 1, 1 << 60):
        digest = DirectoryDigest(1)
        digest.add(Node("d", "d", mtime=time), b"")
        digests.add(digest.digest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (Node("a/b", "d", mtime=7), ["a/b", "d", 0, 7]),
        (Node("f", "f", size=5, mtime=0), ["f", "f", 5, 0]),
        (Node("x", "f", size=5, executable=True, mtime=1), ["x", "x", 5, 1]),
    ],
)
def test_the_head_of_an_entry(node: Node, value: list[object]) -> None:
    data = encode_entry(node)
    assert SIZE.unpack_from(data) == (len(data) - SIZE.size,)
    assert decode(data[SIZE.size :], "head") == value
