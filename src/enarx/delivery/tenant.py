"""The tenant's side of the protocol (docs/spec/delivery.md, "Tenant").

`Admission` goes from the Challenge to the last chunk and gives a `Session`; an `Attachment` takes a session up, once or
many times, and opens what comes back. Whether evidence is good is not decided here: the caller evaluates it between
`attestation` and `delivery`.
"""

from __future__ import annotations

import hashlib
from typing import Any, Self

from enarx.delivery import states
from enarx.delivery.messages import (
    ROLE_ADMIT,
    Attach,
    Attached,
    Attestation,
    Challenge,
    Delivery,
    attach_transcript,
    binding,
    report_data,
    same,
    verifier_id,
)
from enarx.delivery.session import BROKEN, STATE, STATE_DATA, Channel, Output, OutputOpener, channels, output_key
from enarx.delivery.stream import TAG, Sealer
from enarx.delivery.suite import KEY_SIZE, commit_keys, hpke_seal, signing_key, verify_signature
from enarx.errors import DeliveryError, ParseError
from enarx.formats.package import Manifest, byte_strings
from enarx.formats.wire import CHUNK, decode, encode, frame
from enarx.formats.wire import HEADER as FRAME_HEADER
from enarx.formats.wire import FrameType as F
from enarx.record import names, record


@record()
class Session:
    """What a tenant must keep to read results later: as secret as the results. `to_bytes` is for a file of mode 0600."""

    package: bytes
    transcript: bytes
    secret: bytes
    identity: bytes

    def to_bytes(self) -> bytes:
        """Its one encoding."""
        return encode({name: getattr(self, name) for name in names(self)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the one encoding."""
        value: Any = decode(data, "session")
        if not isinstance(value, dict) or set(value) != set(names(cls)):
            raise ParseError("session-keys", "session: wanted exactly its fields", what="session")
        byte_strings(list(value.values()), 32, "session")
        return cls(**value)


class Admission:
    """One try to deliver one package to one Keep. `owner_seed` is the owner's Ed25519 seed, `nonce` 32 fresh bytes."""

    def __init__(self, *, manifest: Manifest, owner_seed: bytes, nonce: bytes) -> None:
        self.conversation = states.Conversation()
        self._manifest = manifest
        self._owner = signing_key(owner_seed)
        self._public = self._owner.public_key().public_bytes_raw()
        self._challenge = Challenge(nonce=nonce, verifier=verifier_id(self._public), package=manifest.digest).to_bytes()
        self._attestation = b""
        self._hpke = self._identity = b""
        self._sealer: Sealer | None = None

    def challenge(self) -> bytes:
        """The first frame."""
        self.conversation.step(F.CHALLENGE)
        return frame(F.CHALLENGE, self._challenge)

    def attestation(self, payload: bytes) -> tuple[Attestation, bytes]:
        """Take the Keep's answer; returns it with the report data that its evidence must carry."""
        self.conversation.step(F.ATTESTATION)
        attestation = Attestation.from_bytes(payload)
        if not same(attestation.challenge, hashlib.sha256(self._challenge).digest()):
            raise DeliveryError("other-challenge", "the attestation answers another challenge", state="challenged")
        self._attestation = payload
        self._hpke, self._identity = attestation.hpke, attestation.identity
        return attestation, report_data(ROLE_ADMIT, self._challenge, self._hpke, self._identity)

    def delivery(self, *, entropy: bytes, now: int) -> tuple[bytes, Session]:
        """The Delivery frame and the session that it opens. Call it only once the evidence has been accepted.

        `entropy` is 64 fresh bytes: the key of the stream and the secret of the session.
        """
        self.conversation.step(F.DELIVERY)
        stream_key, secret = entropy[:KEY_SIZE], entropy[KEY_SIZE : 2 * KEY_SIZE]
        commitment = commit_keys(stream_key, secret)
        bound = binding(
            challenge=self._challenge,
            attestation=self._attestation,
            package=self._manifest.digest,
            commitment=commitment,
            time=now,
        )
        self._sealer = Sealer(stream_key)
        delivery = Delivery(
            manifest=self._manifest.raw,
            owner=self._public,
            signature=self._owner.sign(bound),
            sealed=hpke_seal(stream_key + secret, self._hpke, info=bound),
            commitment=commitment,
            time=now,
        )
        session = Session(package=self._manifest.digest, transcript=bound, secret=secret, identity=self._identity)
        return frame(F.DELIVERY, delivery.to_bytes()), session

    def chunk(self, plaintext: bytes | memoryview, buffer: bytearray, *, final: bool) -> memoryview:
        """The frame of the next chunk, made in `buffer` (CHUNK_BUFFER bytes), which it stays in."""
        self.conversation.step(F.CHUNK)
        assert self._sealer is not None  # the table lets no chunk out before a delivery
        if not final and len(plaintext) != CHUNK:
            raise DeliveryError("stream-misuse", "only the last chunk may be short", state="receiving")
        out = memoryview(buffer)
        size = self._sealer.seal_into(
            plaintext, out[FRAME_HEADER.size : FRAME_HEADER.size + len(plaintext) + TAG], final=final
        )
        FRAME_HEADER.pack_into(out, 0, size + 1, F.CHUNK)
        if final:
            self.conversation.last_chunk()
        return out[: FRAME_HEADER.size + size]


CHUNK_BUFFER = FRAME_HEADER.size + CHUNK + TAG


def sealed_frames(plaintext: int) -> int:
    """Bytes of all CHUNK frames for so many bytes of plaintext."""
    return plaintext + max(1, -(-plaintext // CHUNK)) * (CHUNK_BUFFER - CHUNK)


class Attachment:
    """A tenant's hold on a session: opens what the Keep sends, seals what it is sent.

    `nonce` is 32 fresh bytes, one for each attachment. `output` may be carried over from an earlier attachment, so that
    reading goes on where it stopped. `stdin` is the offset up to which the Keep has taken stdin, once it has said so.
    """

    def __init__(self, session: Session, *, nonce: bytes, output: OutputOpener | None = None) -> None:
        self.conversation = states.Conversation(states.SESSION)
        self._session = session
        self._nonce = nonce
        self.output = output or OutputOpener(output_key(session.secret, session.transcript))
        self._to_keep: Channel | None = None
        self._to_tenant: Channel | None = None
        self.stdin: int | None = None
        self.stdin_open = True
        self.records = 0

    def attach(self) -> bytes:
        """The frame that asks for it."""
        self.conversation.step(F.ATTACH)
        return frame(F.ATTACH, Attach(nonce=self._nonce).to_bytes())

    def receive(self, kind: F, payload: bytes) -> Output | None:
        """Take any frame from the Keep; returns an output record if it was one. Frames of other attachments are passed
        over; a Keep's clear refusal raises, and proves nothing."""
        self.conversation.step(kind)
        if kind is F.OUTPUT:
            record = self.output.open(payload)
            if record.status is not None:
                self.conversation.final_record()
            return record
        if kind is F.ATTACHED:
            self._attached(Attached.from_bytes(payload))
        elif kind is F.REPLY and self._to_tenant is not None:
            self._reply(self._to_tenant.open(payload))
        return None

    def _attached(self, answer: Attached) -> None:
        if answer.nonce != self._nonce:
            return
        basis = attach_transcript(self._session.transcript, self._nonce, answer.keep_nonce, answer.number)
        verify_signature(self._session.identity, answer.signature, basis, code="keep-signature", state="session")
        self._to_keep, self._to_tenant = channels(
            self._session.secret,
            session=self._session.transcript,
            nonce=self._nonce,
            keep_nonce=answer.keep_nonce,
            number=answer.number,
        )

    def _reply(self, record: tuple[int, int, bytes] | None) -> None:
        if record is None:
            return
        kind, offset, data = record
        if kind == BROKEN:
            raise DeliveryError("attachment-broken", "the Keep was sent something that is not ours", state="session")
        if kind != STATE or len(data) != STATE_DATA.size or (self.stdin is not None and offset < self.stdin):
            raise DeliveryError("reply-kind", "the Keep's reply is of no known kind, or goes back", state="session")
        self.stdin = offset
        self.records, self.stdin_open = STATE_DATA.unpack(data)

    def send(self, kind: int, offset: int, data: bytes | memoryview = b"") -> bytes:
        """A frame to the Keep: stdin at an offset, its end, or a request to stop. Only once `stdin` is known."""
        self.conversation.step(F.INPUT)
        if self._to_keep is None:
            raise DeliveryError("not-attached", "the Keep has not answered the attachment yet", state="session")
        return frame(F.INPUT, self._to_keep.seal(kind, offset, data))


def refusal_code(payload: bytes) -> str:
    """The word in a Keep's clear refusal. It proves nothing: anyone between could have written it."""
    value = decode(payload, "refusal")
    match value:
        case {"code": str(code), **rest} if not rest and len(code) <= 64 and code.replace("-", "").isalnum():
            return code
    raise ParseError("refusal", "refusal: wanted a short code", what="refusal")
