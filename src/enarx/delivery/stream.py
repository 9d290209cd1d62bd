"""Sealed bulk: STREAM chunks under AES-256-GCM (docs/spec/delivery.md, "Sealed stream").

Chunk i is AES-256-GCM with nonce = 7 zero bytes | i as u32 big-endian | final as u8, so order, truncation, splicing and
duplication all fail to open. Each key seals one stream.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.errors import DeliveryError
from enarx.formats.wire import CHUNK

TAG = 16
LABEL = b"enarx stream v1"
MAX_CHUNKS = 1 << 32


def _nonce(counter: int, final: bool) -> bytes:
    return bytes(7) + counter.to_bytes(4, "big") + bytes([final])


class Sealer:
    """Seals chunks of at most CHUNK bytes, the last one with `final`."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._next = 0
        self._done = False

    def seal_into(self, plaintext: bytes | memoryview, out: memoryview, *, final: bool) -> int:
        """Seal into `out`, which holds the plaintext's length and TAG bytes more; returns the bytes written."""
        if self._done or len(plaintext) > CHUNK or self._next >= MAX_CHUNKS:
            raise DeliveryError(
                "stream-misuse", "a sealed stream takes chunks up to its last, of limited size", state="sealing"
            )
        nonce = _nonce(self._next, final)
        self._next += 1
        self._done = final
        return self._aead.encrypt_into(nonce, plaintext, LABEL, out)


class Opener:
    """Opens chunks in order; whether a chunk is the last is found by trying, as its flag is in no clear text."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._next = 0
        self.finished = False

    def open_into(self, chunk: memoryview, out: memoryview) -> int:
        """Open into `out`; returns the plaintext's length, and sets `finished` after the last chunk.

        Only a full chunk can be other than the last, so a short one is tried as the last alone.
        """
        if self.finished or not TAG <= len(chunk) <= CHUNK + TAG:
            raise DeliveryError("stream-chunk", "a chunk after the last, or of no allowed size", state="receiving")
        size = len(chunk) - TAG
        for final in (False, True) if size == CHUNK else (True,):
            try:
                self._aead.decrypt_into(_nonce(self._next, final), chunk, LABEL, out[:size])
            except InvalidTag:
                continue
            self._next += 1
            self.finished = final
            return size
        raise DeliveryError(
            "stream-broken",
            f"sealed chunk {self._next} does not open: changed, out of order, or cut",
            state="receiving",
        )
