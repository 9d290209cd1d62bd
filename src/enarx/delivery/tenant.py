"""The tenant's side of the protocol (docs/spec/delivery.md).

`Admission` goes from the Challenge to the last chunk, and makes a `Session`. An `Attachment` attaches to a session and
opens what the Keep sends; there may be many. This module does not decide about evidence: the caller verifies and appraises
it between `attestation` and `delivery`.
"""

from __future__ import annotations

import hashlib
from typing import Self

from enarx.delivery import states
from enarx.delivery.messages import (
    ROLE_ADMIT,
    ROLE_SESSION,
    Attach,
    Attached,
    Attest,
    Attestation,
    Challenge,
    Delivery,
    Evidence,
    attach_transcript,
    report_data,
    same,
    sealed_keys,
    verifier_id,
)
from enarx.delivery.output import ACCEPTED
from enarx.delivery.reading import Output, OutputOpener, require_frame
from enarx.delivery.receipt import Terms
from enarx.delivery.sealing import Sealer, confirmed
from enarx.delivery.session import BROKEN, STATE, STATE_DATA, Channel, channels
from enarx.delivery.stream import NUMBER, TAG, Confirmer
from enarx.delivery.suite import KEY_SIZE, commit_keys, derive, hpke_seal, signing_key, verify_signature
from enarx.errors import DeliveryError, ParseError, UnavailableError
from enarx.formats.package import Manifest, byte_strings
from enarx.formats.wire import CHUNK, decode, frame, frame_head
from enarx.formats.wire import HEADER as FRAME_HEADER
from enarx.formats.wire import FrameType as F
from enarx.record import record


@record(hidden=("secret",))
class Session(Terms):
    """What a tenant must keep to read results later. It is as secret as the results: store it in a file of mode 0600."""

    secret: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding."""
        session = cls._decoded(data, "session")
        byte_strings([session.secret], KEY_SIZE, "session")
        return session

    def opener(self) -> OutputOpener:
        """Return an opener of the session's output records, from the first on."""
        granted = bool(Manifest.from_bytes(self.manifest).recipients)
        return OutputOpener(
            secret=self.secret,
            session=self.transcript,
            package=self.package,
            identity=self.identity,
            granted=granted,
        )


class Admission:
    """One attempt to deliver a package to a Keep.

    `owner_seed` is the owner's Ed25519 seed, `nonce` 32 fresh bytes. `confirmed` is the number of chunks that the Keep has
    confirmed.
    """

    def __init__(self, *, manifest: Manifest, owner_seed: bytes, nonce: bytes) -> None:
        self.conversation = states.Conversation()
        self._manifest = manifest
        self._owner = signing_key(owner_seed)
        self._public = self._owner.public_key().public_bytes_raw()
        self._challenge = Challenge(nonce=nonce, verifier=verifier_id(self._public), package=manifest.digest).to_bytes()
        self._attestation = b""
        self._hpke = self._identity = b""
        self._delivery = b""
        self._sealer: Sealer | None = None
        self._confirmer: Confirmer | None = None
        self.confirmed = 0

    def challenge(self) -> bytes:
        """Return the first frame, which carries the Challenge."""
        self.conversation.step(F.CHALLENGE)
        return frame(F.CHALLENGE, self._challenge)

    def attestation(self, payload: bytes) -> tuple[Attestation, bytes]:
        """Take the Keep's answer; returns it with the report data that its evidence must carry.

        ParseError, or DeliveryError if it answers another challenge.
        """
        self.conversation.step(F.ATTESTATION)
        attestation = Attestation.from_bytes(payload)
        if not same(attestation.challenge, hashlib.sha256(self._challenge).digest()):
            raise DeliveryError("other-challenge", "the attestation answers another challenge", state="challenged")
        self._attestation = payload
        self._hpke, self._identity = attestation.hpke, attestation.identity
        return attestation, report_data(ROLE_ADMIT, self._challenge, self._hpke, self._identity)

    def delivery(self, *, entropy: bytes, now: int) -> tuple[bytes, Session]:
        """Return the Delivery frame and the session that it opens. Call it only after the evidence was accepted.

        `entropy` is 64 fresh bytes, for the key of the stream and the secret of the session. `now` is in unix seconds.
        """
        self.conversation.step(F.DELIVERY)
        stream_key, secret = entropy[:KEY_SIZE], entropy[KEY_SIZE : 2 * KEY_SIZE]
        keys = sealed_keys(stream=stream_key, session=secret)
        commitment = commit_keys(keys)
        session = Session(
            challenge=self._challenge,
            attestation=self._attestation,
            manifest=self._manifest.raw,
            commitment=commitment,
            time=now,
            secret=secret,
        )
        bound = session.transcript
        self._sealer = Sealer(stream_key)
        self._confirmer = Confirmer(derive(secret, bound, "received"))
        delivery = Delivery(
            manifest=self._manifest.raw,
            owner=self._public,
            signature=self._owner.sign(bound),
            sealed=hpke_seal(keys, self._hpke, info=bound),
            commitment=commitment,
            time=now,
        )
        self._delivery = frame(F.DELIVERY, delivery.to_bytes())
        return self._delivery, session

    def again(self) -> bytes:
        """Return the same Delivery frame, to continue after an interruption; see `resume`."""
        self.conversation.step(F.DELIVERY)
        return self._delivery

    def resume(self) -> int:
        """Rewind the stream to the first chunk that the Keep has not confirmed; returns its number."""
        assert self._sealer is not None  # the table lets no delivery be repeated before it was made
        self._sealer.rewind(self.confirmed)
        return self.confirmed

    def received(self, payload: bytes) -> bool:
        """Take a confirmation; returns whether it confirms more chunks than before. DeliveryError if it is forged."""
        self.conversation.step(F.RECEIVED)
        assert self._confirmer is not None
        assert self._sealer is not None
        count, before = confirmed(self._confirmer, payload), self.confirmed
        if count > self._sealer.sealed:
            raise DeliveryError(
                "confirmation-broken", "the Keep confirms chunks that were not sealed", state="receiving"
            )
        self.confirmed = max(count, before)
        return self.confirmed > before

    def outcome(self, opener: OutputOpener, payload: bytes) -> Output:
        """Take the first output record: the Keep's acceptance of the package, or a final record that refuses it.

        UnavailableError if the host dropped the acceptance.
        """
        record = opener.open(payload)
        if record.kind != ACCEPTED and record.final is None:
            raise UnavailableError(
                "acceptance-lost",
                "the host dropped the Keep's acceptance: it is not proven that the Keep has the package",
            )
        self.conversation.step(states.FINAL if record.final is not None else states.ACCEPTANCE)
        return record

    def chunk(self, plaintext: bytes | memoryview, buffer: bytearray, *, final: bool) -> memoryview:
        """Return the frame of the next chunk, a view of `buffer`, which has CHUNK_BUFFER bytes."""
        self.conversation.step(F.CHUNK)
        assert self._sealer is not None  # the table lets no chunk out before a delivery
        if not final and len(plaintext) != CHUNK:
            raise DeliveryError("stream-misuse", "only the last chunk may be short", state="receiving")
        out, size = memoryview(buffer), NUMBER.size + len(plaintext) + TAG
        out[: FRAME_HEADER.size] = frame_head(F.CHUNK, size)
        NUMBER.pack_into(out, FRAME_HEADER.size, self._sealer.next)
        self._sealer.seal_into(plaintext, out[CHUNK_START : FRAME_HEADER.size + size], final=final)
        if final:
            self.conversation.step(states.LAST_CHUNK)
        return out[: FRAME_HEADER.size + size]


CHUNK_START = FRAME_HEADER.size + NUMBER.size
CHUNK_BUFFER = CHUNK_START + CHUNK + TAG


def sealed_frames(plaintext: int) -> int:
    """Return the bytes of all CHUNK frames of a plaintext."""
    return plaintext + max(1, -(-plaintext // CHUNK)) * (CHUNK_BUFFER - CHUNK)


class Attachment:
    """One attachment to a session: seals what goes to the Keep, and opens what comes back.

    `nonce` is 32 bytes, fresh for each attachment. An earlier attachment's `output` may be passed on, so that reading
    continues where it stopped. `stdin` is the number of bytes of stdin that the Keep has taken; None before its first reply.
    `contributed` has the digests of the parts that the Keep has confirmed, by provider's key.
    """

    def __init__(self, session: Session, *, nonce: bytes, output: OutputOpener | None = None) -> None:
        self.conversation = states.Conversation(states.SESSION)
        self._session = session
        self._nonce = nonce
        self.output = output or session.opener()
        self._to_keep: Channel | None = None
        self._to_tenant: Channel | None = None
        self.stdin: int | None = None
        self.stdin_open = True
        self.records = 0
        self.contributed: dict[bytes, bytes] = {}

    def attach(self) -> bytes:
        """Return the frame that asks the Keep to attach."""
        self.conversation.step(F.ATTACH)
        return frame(F.ATTACH, Attach(nonce=self._nonce).to_bytes())

    def receive(self, kind: F, payload: bytes) -> Output | None:
        """Take any frame from the Keep; returns the output record in it, if it carries one.

        Frames of other attachments are skipped. ParseError or DeliveryError if a frame is not from the Keep, is not allowed in
        a session, or says that the attachment is broken.
        """
        if kind is F.RECEIVED:
            return None  # left over from the delivery
        self.conversation.step(kind)
        if kind in (F.OUTPUT, F.FILES):
            record = self.output.open(payload)
            require_frame(record, kind)
            if record.status is not None:
                self.conversation.step(states.FINAL)
            return record
        if kind is F.ATTACHED:
            self._attached(Attached.from_bytes(payload))
        elif kind is F.REPLY and self._to_tenant is not None:
            self._reply(self._to_tenant.open(payload))
        elif kind is F.CONTRIBUTED:
            self._contributed(payload)
        return None

    def _contributed(self, payload: bytes) -> None:
        from enarx.delivery.contribution import confirmed_part

        session = self._session
        self.contributed |= confirmed_part(
            payload, session=session.transcript, package=session.package, identity=session.identity
        )

    def _attached(self, answer: Attached) -> None:
        if answer.nonce != self._nonce or (self._to_keep is not None and answer.number <= self._to_keep.number):
            return  # attaching twice with one answer would use the same nonces under the same keys
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
            raise DeliveryError(
                "attachment-broken", "the Keep received something that this tenant did not send", state="session"
            )
        if kind != STATE or len(data) != STATE_DATA.size or (self.stdin is not None and offset < self.stdin):
            raise DeliveryError(
                "reply-kind", "the Keep's reply is of unknown kind, or takes back stdin", state="session"
            )
        self.stdin = offset
        self.records, self.stdin_open = STATE_DATA.unpack(data)

    def send(self, kind: int, offset: int, data: bytes | memoryview = b"") -> bytes:
        """Return a frame to the Keep: stdin at an offset, its end, or a request to stop.

        DeliveryError before the Keep has answered `attach`.
        """
        self.conversation.step(F.INPUT)
        if self._to_keep is None:
            raise DeliveryError("not-attached", "the Keep has not answered the attachment yet", state="session")
        return frame(F.INPUT, self._to_keep.seal(kind, offset, data))


class Freshness:
    """One request for fresh evidence of the Keep that runs a session. `nonce` is 32 fresh bytes."""

    def __init__(self, session: Session, *, nonce: bytes) -> None:
        self.conversation = states.Conversation(states.SESSION)
        self._session = session
        self._request = Attest(nonce=nonce).to_bytes()

    def request(self) -> bytes:
        """Return the frame that asks for evidence."""
        self.conversation.step(F.ATTEST)
        return frame(F.ATTEST, self._request)

    def answer(self, payload: bytes) -> tuple[Evidence, bytes] | None:
        """Return the Keep's answer, with the report data that its evidence must carry; None if it answers another request.

        DeliveryError if it names another session, Keep or package.
        """
        self.conversation.step(F.EVIDENCE)
        answer = Evidence.from_bytes(payload)
        if not same(answer.request, hashlib.sha256(self._request).digest()):
            return None
        session = self._session
        wanted = (session.transcript, session.identity, session.package)
        if (answer.session, answer.identity, answer.package) != wanted:
            raise DeliveryError(
                "other-session", "the evidence is for another session, Keep or package", state="session"
            )
        return answer, report_data(ROLE_SESSION, self._request, *wanted)


def refusal_code(payload: bytes) -> str:
    """Return the code in a Keep's clear refusal. It proves nothing: the host could have written it. ParseError."""
    value = decode(payload, "refusal")
    match value:
        case {"code": str(code), **rest} if (
            not rest and len(code) <= 64 and code.isascii() and code.replace("-", "").isalnum()
        ):
            return code
    raise ParseError("refusal", "refusal: wanted a short code", what="refusal")
