from __future__ import annotations

import hashlib
import os
import threading

import pytest

from enarx.keep.hashing import AHEAD, LARGE, Hashing


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "hashing"]


@pytest.mark.parametrize(
    "sizes",
    [
        (),
        (0,),
        (1, 2, 3),
        (LARGE - 1, LARGE, LARGE + 1),
        (LARGE, 1, LARGE, 1, 2 * LARGE, 0),
        (LARGE,) * 50,
    ],
)
def test_as_hashlib(sizes: tuple[int, ...]) -> None:
    data = [os.urandom(size) for size in sizes]
    with Hashing() as hashing:
        digest = hashing.sha256()
        for piece in data:
            digest.update(memoryview(piece))
        assert digest.digest() == hashlib.sha256(b"".join(data)).digest()


def test_several_digests_do_not_mix() -> None:
    with Hashing() as hashing:
        digests = [hashing.sha256() for _ in range(3)]
        for i in range(30):
            digests[i % 3].update(memoryview(bytes([i]) * (LARGE if i % 2 else 5)))
        for number, digest in enumerate(digests):
            whole = b"".join(bytes([i]) * (LARGE if i % 2 else 5) for i in range(30) if i % 3 == number)
            assert digest.digest() == hashlib.sha256(whole).digest()


def test_memory_is_the_callers_again_once_more_pieces_were_handed_over() -> None:
    """As the keeper does it: AHEAD + 1 buffers, in turn."""
    buffers = [memoryview(bytearray(LARGE)) for _ in range(AHEAD + 1)]
    whole = hashlib.sha256()
    with Hashing() as hashing:
        digest = hashing.sha256()
        for _ in range(200):
            buffers.append(buffers.pop(0))
            buffers[0][:] = os.urandom(LARGE)
            whole.update(buffers[0])
            digest.update(buffers[0])
        assert digest.digest() == whole.digest()


def test_small_pieces_need_no_thread() -> None:
    """A process is confined while it has no other thread."""
    with Hashing() as hashing:
        digest = hashing.sha256()
        digest.update(memoryview(bytes(LARGE - 1)))
        digest.digest()
        assert threads() == []
        digest.update(memoryview(bytes(LARGE)))
        assert threads() == ["hashing"]
    assert threads() == []
