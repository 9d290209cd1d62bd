"""The Keep's side of the messages: what each one proves, and the keys that answer it (docs/spec/delivery.md).

`KeepProtocol` holds the Keep's keys. Each method takes or makes one message, in the order of the state table, and raises
DeliveryError or ParseError at the first fault. The Keep's core (`enarx.keep.core`) decides when to send a message, and what
follows from an error. There is no I/O, clock or randomness here: the caller brings bytes, time
and entropy.
"""

from __future__ import annotations

import hashlib

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
    binding,
    open_keys,
    report_data,
    same,
    verifier_id,
)
from enarx.delivery.output import FILES, OutputSealer
from enarx.delivery.session import BROKEN, Channel, Status, channels
from enarx.delivery.stream import NUMBER, Confirmer, Opener
from enarx.delivery.suite import HPKE_SEED_SIZE, HpkeKey, commit_keys, derive, signing_key, verify_signature
from enarx.errors import DeliveryError
from enarx.formats.package import Manifest
from enarx.formats.wire import FrameType as F
from enarx.formats.wire import encode, frame

ENTROPY_SIZE = HPKE_SEED_SIZE + 32
"""Bytes of entropy for a Keep's HPKE and identity keys."""

ANY_PACKAGE = bytes(32)
"""The package digest of a Keep that was launched for no particular package: its Challenge names the package."""


class KeepProtocol:
    """The protocol state and keys of one Keep.

    `entropy` is ENTROPY_SIZE fresh bytes, from which its keys are made. `package` is the package digest that the hardware
    launched it for, or ANY_PACKAGE.
    """

    def __init__(self, *, entropy: bytes, package: bytes) -> None:
        self.conversation = states.Conversation()
        self._hpke: HpkeKey | None = HpkeKey(entropy[:HPKE_SEED_SIZE])
        self._hpke_public = self._hpke.public
        self._identity = signing_key(entropy[HPKE_SEED_SIZE:])
        self._package = package
        self._challenge = self._attestation = self._delivery = b""
        self._session = self._secret = b""
        self._attachments = 0
        self._request = b""
        self._confirmer: Confirmer | None = None
        self.opener: Opener | None = None
        self.output: OutputSealer | None = None
        self.from_tenant: Channel | None = None
        self.to_tenant: Channel | None = None
        self.not_before = 0

    @property
    def state(self) -> str:
        """The current state of the conversation."""
        return self.conversation.state

    def challenge(self, payload: bytes) -> bytes:
        """Take the one Challenge; returns the 64 bytes of report data that the evidence must carry."""
        self.conversation.step(F.CHALLENGE)
        challenge = Challenge.from_bytes(payload)
        if self._package not in (ANY_PACKAGE, challenge.package):
            raise DeliveryError("other-package", "this Keep was launched for another package", state="challenged")
        self._package, self._verifier = challenge.package, challenge.verifier
        self._challenge = payload
        return report_data(ROLE_ADMIT, payload, self._hpke_public, self._public_identity())

    def attestation(self, kind: str, evidence: bytes, endorsements: tuple[bytes, ...]) -> bytes:
        """Return the frame that answers the Challenge."""
        self.conversation.step(F.ATTESTATION)
        self._attestation = Attestation(
            kind=kind,
            evidence=evidence,
            endorsements=endorsements,
            hpke=self._hpke_public,
            identity=self._public_identity(),
            challenge=hashlib.sha256(self._challenge).digest(),
        ).to_bytes()
        return frame(F.ATTESTATION, self._attestation)

    def delivery(self, payload: bytes) -> Manifest:
        """Take the one Delivery: check digest, owner and signature, then open its keys. Drops the HPKE key."""
        self.conversation.step(F.DELIVERY)
        hpke, self._hpke = self._hpke, None
        self._delivery = hashlib.sha256(payload).digest()
        delivery = Delivery.from_bytes(payload)
        manifest = Manifest.from_bytes(delivery.manifest)
        if not same(manifest.digest, self._package):
            raise DeliveryError("other-manifest", "the manifest is not the challenged package's", state="attested")
        if delivery.owner not in manifest.owners:
            raise DeliveryError("not-an-owner", "the signer is not one of the manifest's owners", state="attested")
        if not same(verifier_id(delivery.owner), self._verifier):
            raise DeliveryError("other-verifier", "the signer did not challenge this Keep", state="attested")
        bound = self._bind(delivery)
        verify_signature(delivery.owner, delivery.signature, bound, code="owner-signature", state="attested")
        if hpke is None:
            raise DeliveryError("second-delivery", "this Keep already had its delivery", state="attested")
        self._take_keys(hpke.open(delivery.sealed, info=bound), delivery, bound)
        return manifest

    def _bind(self, delivery: Delivery) -> bytes:
        return binding(
            challenge=self._challenge,
            attestation=self._attestation,
            package=self._package,
            commitment=delivery.commitment,
            time=delivery.time,
        )

    def _take_keys(self, keys: bytes, delivery: Delivery, bound: bytes) -> None:
        if not same(commit_keys(keys), delivery.commitment):
            raise DeliveryError("key-commitment", "the owner did not sign the sealed keys", state="attested")
        stream_key, secret = open_keys(keys)
        self.opener = Opener(stream_key)
        self._confirmer = Confirmer(derive(secret, bound, "received"))
        self._session, self._secret = bound, secret
        self.output = OutputSealer(secret=secret, session=bound, package=self._package, key=self._identity)
        self.not_before = delivery.time

    def again(self, payload: bytes) -> bytes:
        """Take the same Delivery once more, byte for byte, from a tenant that was interrupted.

        Returns the frame that confirms the chunks so far.
        """
        self.conversation.step(F.DELIVERY)
        if not same(hashlib.sha256(payload).digest(), self._delivery):
            raise DeliveryError("second-delivery", "this Keep already had its delivery", state="receiving")
        return self.received()

    def received(self) -> bytes:
        """Return the frame that confirms the chunks so far."""
        self.conversation.step(F.RECEIVED)
        assert self._confirmer is not None  # the table allows this only while a package is received
        assert self.opener is not None
        return frame(F.RECEIVED, self._confirmer.confirm(self.opener.next))

    def chunk(self, payload: memoryview, out: memoryview) -> int | None:
        """Open the next chunk into `out`; returns its plaintext bytes, or None for a chunk that was opened before."""
        self.conversation.step(F.CHUNK)
        assert self.opener is not None  # the table allows no chunk before a delivery
        if len(payload) < NUMBER.size:
            raise DeliveryError("stream-chunk", "a chunk without a number", state="receiving")
        (number,) = NUMBER.unpack_from(payload)
        if number < self.opener.next:
            return None
        if number > self.opener.next:
            raise DeliveryError("stream-order", f"sealed chunk {number}, wanted {self.opener.next}", state="receiving")
        size = self.opener.open_into(payload[NUMBER.size :], out)
        if self.opener.finished:
            self.conversation.step(states.LAST_CHUNK)
        return size

    def acceptance(self) -> bytes:
        """Return the frame that says, under seal, that the Keep holds the whole package. It opens the session."""
        self.conversation.step(states.ACCEPTANCE)
        assert self.output is not None  # the table allows this only after a delivery
        assert self.opener is not None
        return frame(F.OUTPUT, self.output.acceptance(self.opener.next))

    def attach(self, payload: bytes, keep_nonce: bytes) -> bytes:
        """Take an Attach, which ends earlier attachments; returns the frame that answers it.

        `keep_nonce` is 32 fresh bytes.
        """
        self.conversation.step(F.ATTACH)
        nonce = Attach.from_bytes(payload).nonce
        self._attachments += 1
        number = self._attachments
        basis = attach_transcript(self._session, nonce, keep_nonce, number)
        self.from_tenant, self.to_tenant = channels(
            self._secret, session=self._session, nonce=nonce, keep_nonce=keep_nonce, number=number
        )
        answer = Attached(nonce=nonce, keep_nonce=keep_nonce, number=number, signature=self._identity.sign(basis))
        self.conversation.step(F.ATTACHED)
        return frame(F.ATTACHED, answer.to_bytes())

    def input(self, payload: bytes) -> tuple[int, int, bytes] | None:
        """Open an INPUT frame: its kind, offset and data; None if it does not belong to the newest attachment."""
        self.conversation.step(F.INPUT)
        return self.from_tenant.open(payload) if self.from_tenant else None

    def reply(self, kind: int, offset: int, data: bytes = b"") -> bytes:
        """Return a frame for the newest attachment; empty if nobody is attached."""
        if self.to_tenant is None:
            return b""
        self.conversation.step(F.REPLY)
        return frame(F.REPLY, self.to_tenant.seal(kind, offset, data))

    def broken(self) -> bytes:
        """End the newest attachment; returns the frame that tells it, empty if nobody is attached."""
        last, self.from_tenant, self.to_tenant = self.reply(BROKEN, 0), None, None
        return last

    def attest(self, payload: bytes) -> bytes:
        """Take an Attest; returns the 64 bytes of report data that fresh evidence must carry."""
        self.conversation.step(F.ATTEST)
        Attest.from_bytes(payload)
        self._request = hashlib.sha256(payload).digest()
        return report_data(ROLE_SESSION, payload, self._session, self._public_identity(), self._package)

    def evidence(self, kind: str, evidence: bytes, endorsements: tuple[bytes, ...]) -> bytes:
        """Return the frame that answers the last Attest."""
        self.conversation.step(F.EVIDENCE)
        answer = Evidence(
            kind=kind,
            evidence=evidence,
            endorsements=endorsements,
            session=self._session,
            identity=self._public_identity(),
            package=self._package,
            request=self._request,
        )
        return frame(F.EVIDENCE, answer.to_bytes())

    def write(self, kind: int, data: bytes | memoryview) -> bytes:
        """Return the frames that carry bytes of a stream, with the checkpoints that are due."""
        assert self.output is not None  # only a delivered Keep runs anything
        carrier = F.FILES if kind == FILES else F.OUTPUT
        self.conversation.step(carrier)
        frames = [frame(carrier, payload) for payload in self.output.data(kind, data)]
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def final(self, status: Status, directories: dict[str, bytes] | None = None) -> bytes:
        """Return the last frames: the checkpoints that are due, and the final record, as `OutputSealer.final` makes them."""
        assert self.output is not None  # the table allows this only after a delivery
        self.conversation.step(states.FINAL)
        return b"".join(frame(F.OUTPUT, payload) for payload in self.output.final(status, directories))

    def refusal(self, code: str) -> bytes:
        """Return the frame that refuses a tenant with whom there is no session yet. It is in clear and proves nothing."""
        self.conversation.step(F.REFUSAL)
        return frame(F.REFUSAL, encode({"code": code}))

    def _public_identity(self) -> bytes:
        return self._identity.public_key().public_bytes_raw()
