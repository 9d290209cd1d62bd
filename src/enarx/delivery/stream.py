"""Sealed bulk: STREAM chunks under AES-256-GCM (docs/spec/delivery.md, "Sealed stream").

Chunk i is AES-256-GCM with nonce = 7 zero bytes | i as u32 big-endian | final as u8, so order, truncation, splicing and
duplication all fail to open. Each key seals one stream. In clear before a chunk stands its number, so that a delivery
that was interrupted can go on where it stopped.
"""

from __future__ import annotations

import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.errors import DeliveryError, UsageError
from enarx.formats.wire import CHUNK

TAG = 16
NUMBER = struct.Struct(">I")
"""In clear before a sealed chunk: its number."""

LABEL = b"enarx stream v2"
MAX_CHUNKS = 1 << 32


def _nonce(counter: int, final: bool) -> bytes:
    return bytes(7) + counter.to_bytes(4, "big") + bytes([final])


class Sealer:
    """Seals chunks of at most CHUNK bytes, the last one with `final`. `next` is the number of the next chunk.

    After `rewind` chunks are sealed again. Under the nonce of a chunk no other plaintext may ever be sealed, so the tag
    of each is kept and compared before the chunk is let out.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._done = False
        self._tags: list[bytes] = []
        self.next = 0

    def seal_into(self, plaintext: bytes | memoryview, out: memoryview, *, final: bool) -> int:
        """Seal into `out`, which holds the plaintext's length and TAG bytes more; returns the bytes written."""
        if self._done or len(plaintext) > CHUNK or self.next >= MAX_CHUNKS:
            raise DeliveryError(
                "stream-misuse", "a sealed stream takes chunks up to its last, of limited size", state="sealing"
            )
        size = self._aead.encrypt_into(_nonce(self.next, final), plaintext, LABEL, out)
        tag = bytes(out[size - TAG : size])
        if self.next == len(self._tags):
            self._tags.append(tag)
        elif not hmac.compare_digest(tag, self._tags[self.next]):
            out[:size] = bytes(size)
            raise UsageError("files-changed", "a file changed while it was delivered", hint="deploy again")
        self.next += 1
        self._done = final
        return size

    @property
    def sealed(self) -> int:
        """How many chunks have ever been sealed."""
        return len(self._tags)

    def rewind(self, number: int) -> None:
        """Go back to a chunk that was sealed before."""
        if not 0 <= number <= self.sealed:
            raise DeliveryError("stream-misuse", "a sealed stream is only wound back", state="sealing")
        self.next, self._done = number, False


class Opener:
    """Opens chunks in order; whether a chunk is the last is found by trying, as its flag is in no clear text.

    `next` is the number of the next chunk.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self.next = 0
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
                self._aead.decrypt_into(_nonce(self.next, final), chunk, LABEL, out[:size])
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
    """Says, or checks, how many chunks the Keep has opened: the number, and an AES-GCM tag over it.

    One number always gives the same bytes, so its nonce is never used for others.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def confirm(self, count: int) -> bytes:
        """The payload of a RECEIVED frame."""
        number = NUMBER.pack(count)
        return number + self._aead.encrypt(bytes(8) + number, b"", number)

    def check(self, payload: bytes) -> int:
        """The number in a RECEIVED frame's payload; DeliveryError if the Keep did not say it."""
        number = payload[: NUMBER.size]
        if len(payload) != NUMBER.size + TAG or not hmac.compare_digest(
            payload, self.confirm(int.from_bytes(number, "big"))
        ):
            raise DeliveryError(
                "confirmation-broken", "a confirmation of chunks that is not this Keep's", state="receiving"
            )
        return int.from_bytes(number, "big")
