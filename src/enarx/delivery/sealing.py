"""Sealing the bulk of a delivery, again where it was interrupted (docs/spec/delivery.md, "Sealed stream")."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.messages import same
from enarx.delivery.stream import LABEL, MAX_CHUNKS, NUMBER, TAG, Confirmer, nonce
from enarx.errors import DeliveryError, UsageError
from enarx.formats.wire import CHUNK


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
        size = self._aead.encrypt_into(nonce(self.next, final), plaintext, LABEL, out)
        tag = bytes(out[size - TAG : size])
        if self.next == len(self._tags):
            self._tags.append(tag)
        elif not same(tag, self._tags[self.next]):
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


def confirmed(confirmer: Confirmer, payload: bytes) -> int:
    """The number in a RECEIVED frame's payload; DeliveryError if the Keep did not say it."""
    number = payload[: NUMBER.size]
    if len(payload) != NUMBER.size + TAG or not same(payload, confirmer.confirm(int.from_bytes(number, "big"))):
        raise DeliveryError(
            "confirmation-broken", "a confirmation of chunks that is not this Keep's", state="receiving"
        )
    return int.from_bytes(number, "big")
