"""The tenant's half of the sealed stream, which can be resumed (docs/spec/delivery.md, "Sealed stream")."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.messages import same
from enarx.delivery.stream import LABEL, MAX_CHUNKS, NUMBER, TAG, Confirmer, nonce
from enarx.errors import DeliveryError, UsageError
from enarx.formats.wire import CHUNK


class Sealer:
    """Seals chunks of at most CHUNK bytes, the last with `final`. `next` is the number of the next chunk.

    After `rewind`, chunks are sealed a second time under the same nonces. Two plaintexts under one nonce would break the
    cipher, so the tag of each chunk is kept, and a chunk with another tag is erased instead of returned.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._done = False
        self._tags: list[bytes] = []
        self.next = 0

    def seal_into(self, plaintext: bytes | memoryview, out: memoryview, *, final: bool) -> int:
        """Seal into `out`, which has room for the plaintext and TAG bytes; returns the number of bytes written.

        UsageError if the plaintext of a chunk that was sealed before has changed.
        """
        if self._done or len(plaintext) > CHUNK or self.next >= MAX_CHUNKS:
            raise DeliveryError("stream-misuse", "a chunk after the last, or of more than CHUNK bytes", state="sealing")
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
        """The number of different chunks that were sealed."""
        return len(self._tags)

    def rewind(self, number: int) -> None:
        """Go back to a chunk that was sealed before, by its number."""
        if not 0 <= number <= self.sealed:
            raise DeliveryError("stream-misuse", "a sealed stream can only be rewound", state="sealing")
        self.next, self._done = number, False


def confirmed(confirmer: Confirmer, payload: bytes) -> int:
    """Return the count in a RECEIVED frame's payload; DeliveryError if its tag is not the Keep's."""
    number = payload[: NUMBER.size]
    if len(payload) != NUMBER.size + TAG or not same(payload, confirmer.confirm(int.from_bytes(number, "big"))):
        raise DeliveryError(
            "confirmation-broken", "a confirmation of chunks that is not from this Keep", state="receiving"
        )
    return int.from_bytes(number, "big")
