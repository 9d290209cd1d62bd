"""Sealed bulk: STREAM chunks under AES-256-GCM (docs/spec/delivery.md, "Sealed stream").

Chunk i is AES-256-GCM with nonce = 7 zero bytes | i as u32 big-endian | final as u8. Reordered, truncated, spliced and
duplicated streams therefore fail to open. Each key seals one stream. Each chunk's number precedes it in clear, so that an
interrupted delivery can continue. This is the Keep's half; `sealing` is the tenant's.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.errors import DeliveryError
from enarx.formats.wire import CHUNK

TAG = 16
NUMBER = struct.Struct(">I")
"""In clear before a sealed chunk: its number."""

LABEL = b"enarx stream v2"
MAX_CHUNKS = 1 << 32


def nonce(counter: int, final: bool) -> bytes:
    """Return the nonce of chunk number `counter`."""
    return bytes(7) + counter.to_bytes(4, "big") + bytes([final])


class Opener:
    """Opens chunks in order. `next` is the number of the next chunk.

    The final flag does not travel in clear, so the last chunk is recognized by trying.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self.next = 0
        self.finished = False

    def open_into(self, chunk: memoryview, out: memoryview) -> int:
        """Open into `out`; returns the plaintext's length, and sets `finished` after the last chunk.

        A short chunk can only be the last, so it is only tried as that.
        """
        if self.finished or not TAG <= len(chunk) <= CHUNK + TAG:
            raise DeliveryError("stream-chunk", "a chunk after the last, or of invalid size", state="receiving")
        size = len(chunk) - TAG
        for final in (False, True) if size == CHUNK else (True,):
            try:
                self._aead.decrypt_into(nonce(self.next, final), chunk, LABEL, out[:size])
            except InvalidTag:
                continue
            self.next += 1
            self.finished = final
            return size
        raise DeliveryError(
            "stream-broken",
            f"sealed chunk {self.next} does not open: changed, out of order, or cut",
            state="receiving",
        )


class Confirmer:
    """Confirms how many chunks the Keep has opened: the count, and an AES-GCM tag over it.

    The nonce is the count, and a count always gives the same bytes, so no nonce is used for two messages.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def confirm(self, count: int) -> bytes:
        """Return the payload of a RECEIVED frame."""
        number = NUMBER.pack(count)
        return number + self._aead.encrypt(bytes(8) + number, b"", number)
