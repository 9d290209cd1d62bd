"""SHA-256 in a thread of its own, so that a piece of the package is hashed while the next one is received.

with Hashing() as hashing:
    digest = hashing.sha256()
    digest.update(piece)        # returns at once for a large piece
    digest.digest()             # waits for the thread
"""

from __future__ import annotations

import hashlib
import queue
import threading

LARGE = 128 << 10
"""Bytes from which handing a piece to the thread costs less than it saves."""

AHEAD = 1
"""Pieces that may wait for the thread. With more, a piece would leave the CPU's cache before it is hashed."""


class Hashing:
    """The hashing thread; the first large piece starts it, and leaving the context ends it.

    The thread reads a piece after `update` has returned. The caller may reuse a piece's memory once AHEAD further pieces
    have been handed over.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Sha256, memoryview] | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(AHEAD)
        self._thread = threading.Thread(target=self._serve, name="hashing", daemon=True)

    def __enter__(self) -> Hashing:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._work.put(None)
            self._thread.join()

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            item[0].inner.update(item[1])
            self._free.release()

    def sha256(self) -> Sha256:
        """Return a new digest that uses this thread."""
        return Sha256(self)

    def hand_over(self, to: Sha256, piece: memoryview) -> None:
        """Queue a piece for `to`; waits while AHEAD pieces are queued already."""
        self._free.acquire()
        if not self._thread.is_alive():
            self._thread.start()  # not earlier: a process with two threads cannot be confined
        self._work.put((to, piece))

    def settle(self) -> None:
        """Wait until the thread has hashed every piece that was handed over."""
        for _ in range(AHEAD):
            self._free.acquire()
        self._free.release(AHEAD)


class Sha256:
    """A running digest with the interface of hashlib's. Pieces of any size are hashed in the order of `update`."""

    def __init__(self, hashing: Hashing) -> None:
        self._hashing = hashing
        self.inner = hashlib.sha256()

    def update(self, piece: memoryview) -> None:
        """Add a piece: a large one in the thread, a small one here."""
        if len(piece) >= LARGE:
            self._hashing.hand_over(self, piece)
        else:
            self._hashing.settle()
            self.inner.update(piece)

    def digest(self) -> bytes:
        """Return the digest of all pieces so far; waits for the thread."""
        self._hashing.settle()
        return self.inner.digest()
