"""The Keep's side of the protocol: one Challenge, one Delivery, then a session (docs/spec/delivery.md, "Keep")."""

from __future__ import annotations

import hashlib

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
from enarx.delivery.session import Channel, OutputSealer, Status, channels, output_key
from enarx.delivery.stream import Opener
from enarx.delivery.suite import HPKE_SEED_SIZE, KEY_SIZE, HpkeKey, commit_keys, signing_key, verify_signature
from enarx.errors import DeliveryError
from enarx.formats.package import Manifest
from enarx.formats.wire import FrameType as F
from enarx.formats.wire import encode, frame

ENTROPY_SIZE = HPKE_SEED_SIZE + 32
ANY_PACKAGE = bytes(32)


class KeepProtocol:
    """Answers for one Keep. `entropy` (ENTROPY_SIZE bytes) makes its keys; `package` is the digest that it was launched
    for by hardware, or ANY_PACKAGE."""

    def __init__(self, *, entropy: bytes, package: bytes) -> None:
        self.conversation = states.Conversation()
        self._hpke: HpkeKey | None = HpkeKey(entropy[:HPKE_SEED_SIZE])
        self._hpke_public = self._hpke.public
        self._identity = signing_key(entropy[HPKE_SEED_SIZE:])
        self._package = package
        self._challenge = self._attestation = b""
        self._session = self._secret = b""
        self._attachments = 0
        self.opener: Opener | None = None
        self.output: OutputSealer | None = None
        self.from_tenant: Channel | None = None
        self.to_tenant: Channel | None = None
        self.not_before = 0

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
        """The frame that answers the Challenge."""
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
        """Take the one Delivery: digest, owner, signature, then the keys. The HPKE key is gone afterwards."""
        self.conversation.step(F.DELIVERY)
        hpke, self._hpke = self._hpke, None
        delivery = Delivery.from_bytes(payload)
        manifest = Manifest.from_bytes(delivery.manifest)
        if not same(manifest.digest, self._package):
            raise DeliveryError("other-manifest", "the manifest is not of the challenged package", state="attested")
        if delivery.owner not in manifest.owners:
            raise DeliveryError("not-an-owner", "the signer is none of the manifest's owners", state="attested")
        if not same(verifier_id(delivery.owner), self._verifier):
            raise DeliveryError("other-verifier", "the signer is not who challenged this Keep", state="attested")
        bound = self._bind(delivery)
        verify_signature(delivery.owner, delivery.signature, bound, code="owner-signature", state="attested")
        if hpke is None:
            raise DeliveryError("second-delivery", "this Keep has had its delivery", state="attested")
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
        stream_key, secret = keys[:KEY_SIZE], keys[KEY_SIZE:]
        if len(keys) != 2 * KEY_SIZE or not same(commit_keys(stream_key, secret), delivery.commitment):
            raise DeliveryError("key-commitment", "the sealed keys are not those the owner signed", state="attested")
        self.opener = Opener(stream_key)
        self._session, self._secret = bound, secret
        self.output = OutputSealer(output_key(secret, bound))
        self.not_before = delivery.time

    def chunk(self, payload: memoryview, out: memoryview) -> int:
        """Open the next chunk into `out`; returns its length. After the last the session is open."""
        self.conversation.step(F.CHUNK)
        assert self.opener is not None  # the table lets no chunk in before a delivery
        size = self.opener.open_into(payload, out)
        if self.opener.finished:
            self.conversation.last_chunk()
        return size

    def attach(self, payload: bytes, keep_nonce: bytes) -> bytes:
        """Take an Attach: earlier attachments end; returns the frame to answer with."""
        self.conversation.step(F.ATTACH)
        nonce = Attach.from_bytes(payload).nonce
        self._attachments += 1
        number = self._attachments
        basis = attach_transcript(self._session, nonce, keep_nonce, number)
        self.from_tenant, self.to_tenant = channels(
            self._secret, session=self._session, nonce=nonce, keep_nonce=keep_nonce, number=number
        )
        answer = Attached(nonce=nonce, keep_nonce=keep_nonce, number=number, signature=self._identity.sign(basis))
        return frame(F.ATTACHED, answer.to_bytes())

    def input(self, payload: bytes) -> tuple[int, int, bytes] | None:
        """Kind, offset and data of an INPUT frame; None if it is not of the newest attachment."""
        self.conversation.step(F.INPUT)
        return self.from_tenant.open(payload) if self.from_tenant else None

    def reply(self, kind: int, offset: int, data: bytes = b"") -> bytes:
        """A frame to the newest attachment; empty if there is none."""
        return frame(F.REPLY, self.to_tenant.seal(kind, offset, data)) if self.to_tenant else b""

    def write(self, kind: int, data: bytes | memoryview) -> bytes:
        """A frame with bytes of stdout or stderr."""
        assert self.output is not None  # only a delivered Keep runs anything
        self.conversation.step(F.OUTPUT)
        return frame(F.OUTPUT, self.output.data(kind, data))

    def final(self, status: Status) -> bytes:
        """The last frame: how it ended."""
        assert self.output is not None
        self.conversation.step(F.OUTPUT)
        self.conversation.final_record()
        return frame(F.OUTPUT, self.output.final(status))

    def refusal(self, code: str) -> bytes:
        """The frame that says why nothing will run, for a tenant with whom there is no session yet; it proves nothing."""
        self.conversation.state = states.REFUSED
        return frame(F.REFUSAL, encode({"code": code}))

    def _public_identity(self) -> bytes:
        return self._identity.public_key().public_bytes_raw()
