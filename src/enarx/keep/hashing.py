"""SHA-256 of large pieces in a thread of its own, so that a package is hashed while the next of it comes in."""

from __future__ import annotations

import hashlib
import queue
import threading

LARGE = 128 << 10
"""Bytes from which handing a piece over costs less than it saves."""


AHEAD = 1
"""Pieces that may be in the thread's hands. More of them would fall out of the CPU's cache in between."""


class Hashing:
    """The thread, for as long as it is needed. Once AHEAD more pieces have been handed over, the memory of a piece is
    the caller's again."""

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
        """A running digest, as hashlib's."""
        return Sha256(self)

    def hand_over(self, to: Sha256, piece: memoryview) -> None:
        """Hash it there, once there is room."""
        self._free.acquire()
        if not self._thread.is_alive():
            self._thread.start()  # not before: a process is confined while it has no other thread
        self._work.put((to, piece))

    def settle(self) -> None:
        """Wait until nothing is in its hands."""
        for _ in range(AHEAD):
            self._free.acquire()
        self._free.release(AHEAD)


class Sha256:
    """One digest; large pieces go to the thread, in order with the small ones."""

    def __init__(self, hashing: Hashing) -> None:
        self._hashing = hashing
        self.inner = hashlib.sha256()

    def update(self, piece: memoryview) -> None:
        """As hashlib."""
        if len(piece) >= LARGE:
            self._hashing.hand_over(self, piece)
        else:
            self._hashing.settle()
            self.inner.update(piece)

    def digest(self) -> bytes:
        """As hashlib."""
        self._hashing.settle()
        return self.inner.digest()
