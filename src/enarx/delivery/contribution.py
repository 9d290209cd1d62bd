"""The sides of the other owners of data: providers and recipients (docs/spec/contributions.md).

A `Contributor` goes from the Join to the Keep's confirmation of a part. `open_grant` gives a recipient its reader of the
output. As in `tenant`, nothing here decides about evidence: the caller verifies and appraises it, before it seals a part or
relies on an output.
"""

from __future__ import annotations

import hashlib

from enarx.delivery import states
from enarx.delivery.answers import Contributed, Declined, Grant, Invitation
from enarx.delivery.messages import lp, report_data, same, sealed_keys
from enarx.delivery.reading import OutputOpener
from enarx.delivery.receipt import Terms
from enarx.delivery.sealing import Sealer, confirmed
from enarx.delivery.sharing import (
    OBSERVER,
    PART_HEADER,
    ROLE_PROVIDE,
    Contribution,
    Join,
    contributed_transcript,
    contribution_binding,
    grant_info,
    grant_transcript,
    part_digest,
)
from enarx.delivery.stream import TAG, Confirmer
from enarx.delivery.suite import (
    KEY_SIZE,
    HpkeKey,
    commit_keys,
    derive,
    hpke_seal,
    signing_key,
    verify_signature,
)
from enarx.errors import DeliveryError, VerificationError
from enarx.formats.making import head_bytes
from enarx.formats.package import Manifest
from enarx.formats.sharing import MAX_PART_HEAD, PartHead, Provider
from enarx.formats.wire import CHUNK, frame, frame_head
from enarx.formats.wire import HEADER as FRAME_HEADER
from enarx.formats.wire import FrameType as F
from enarx.record import as_dict, record

APART, JOINED, INVITED, GIVING, GIVEN = "apart", "joined", "invited", "giving", "given"
LAST_PART = "the last chunk of the part"
NOT_SIGNED = bytes(64)
"""In place of an observer's signature."""

TABLE: dict[tuple[str, F | str], str] = {
    (APART, F.JOIN): JOINED,
    (JOINED, F.INVITATION): INVITED,
    (INVITED, F.CONTRIBUTION): GIVING,
    (GIVING, F.CONTRIBUTION): GIVING,
    (GIVING, F.PART): GIVING,
    (GIVING, F.PART_RECEIVED): GIVING,
    (GIVING, LAST_PART): GIVEN,
    (GIVEN, F.CONTRIBUTION): GIVEN,
    (GIVEN, F.PART): GIVEN,
    (GIVEN, F.PART_RECEIVED): GIVEN,
    (GIVEN, LAST_PART): GIVEN,
}
"""A provider's states. CONTRIBUTED and DECLINED move none: the first may answer an earlier attempt, the second proves nothing."""

PART_START = FRAME_HEADER.size + PART_HEADER.size
PART_BUFFER = PART_START + CHUNK + TAG
"""Bytes of the frame of a full chunk of a part."""


@record(hidden=("head",))
class Part:
    """The start of a part's plaintext: its encoded head, and the index of each directory in the manifest's order.

    The plaintext is `prefix`, then the content of each file in the order of the indexes.
    """

    head: bytes
    indexes: tuple[bytes, ...]
    digest: bytes

    @classmethod
    def make(cls, *, salt: bytes, secrets: dict[str, bytes], indexes: tuple[bytes, ...]) -> Part:
        """Make a part. `salt` is 32 random bytes, fresh or stored to get the same digest again. ParseError if it is too large."""
        parts = PartHead(salt=salt, secrets=tuple(secrets.items()), index_sizes=tuple(map(len, indexes)))
        head = head_bytes(parts, MAX_PART_HEAD)
        return cls(head=head, indexes=indexes, digest=part_digest(salt, head, list(indexes)))

    @property
    def prefix(self) -> bytes:
        """The plaintext before the content of the files."""
        return lp(self.head) + b"".join(self.indexes)


class Contributor:
    """One attempt of a provider to contribute its part to a running Keep.

    `package` is the package digest that the provider was told, `nonce` 32 fresh bytes, `seed` the provider's Ed25519 seed.
    Without a seed it is an observer: it sees evidence and manifest, and cannot contribute. `session`, if the owner told it,
    is the only session that is accepted. `confirmed` is the number of chunks that the Keep has confirmed.

    The Keep's frames that others read too (INVITATION, PART_RECEIVED, CONTRIBUTED, DECLINED) may belong to another provider
    or attempt. The methods that take them return None for those.
    """

    def __init__(
        self, *, package: bytes, nonce: bytes, seed: bytes | None = None, session: bytes | None = None
    ) -> None:
        self.conversation = states.Conversation(APART, TABLE)
        self._package, self._wanted = package, session
        self._key = None if seed is None else signing_key(seed)
        self._public = OBSERVER if self._key is None else self._key.public_key().public_bytes_raw()
        join = Join(nonce=nonce, provider=self._public, package=package, signature=NOT_SIGNED)
        signature = NOT_SIGNED if self._key is None else self._key.sign(join.signed)
        self._join = Join(nonce=nonce, provider=self._public, package=package, signature=signature).to_bytes()
        self._request = hashlib.sha256(self._join).digest()
        self._invitation: Invitation | None = None
        self._invited = b""
        self._contribution = b""
        self._sealer: Sealer | None = None
        self._confirmer: Confirmer | None = None
        self._part: Part | None = None
        self.confirmed = 0

    def join(self) -> bytes:
        """Return the first frame, which carries the Join."""
        self.conversation.step(F.JOIN)
        return frame(F.JOIN, self._join)

    def invitation(self, payload: bytes) -> tuple[Invitation, bytes] | None:
        """Take an INVITATION; returns it with the report data that its evidence must carry. None if it answers another Join.

        ParseError, or DeliveryError if its manifest is not the package's, or its session not the one that the owner told.
        """
        invitation = Invitation.from_bytes(payload)
        if self.conversation.state != JOINED or not same(invitation.request, self._request):
            return None
        if not same(hashlib.sha256(invitation.manifest).digest(), self._package):
            raise DeliveryError("other-manifest", "the manifest is not the package's", state="joined")
        Manifest.from_bytes(invitation.manifest)
        if self._wanted is not None and not same(invitation.session, self._wanted):
            raise DeliveryError("other-session", "the invitation is for another session", state="joined")
        self.conversation.step(F.INVITATION)
        self._invitation, self._invited = invitation, hashlib.sha256(payload).digest()
        bound = (self._join, invitation.hpke, invitation.identity, invitation.session, self._package)
        return invitation, report_data(ROLE_PROVIDE, *bound)

    @property
    def manifest(self) -> Manifest:
        """The manifest of the package, once there is an invitation."""
        return Manifest.from_bytes(self._given().manifest)

    @property
    def provider(self) -> Provider:
        """This provider's entry in the manifest; DeliveryError if there is none."""
        for provider in self.manifest.providers:
            if same(provider.key, self._public):
                return provider
        raise DeliveryError("not-a-provider", "the manifest names no provider with this key", state="invited")

    @property
    def session(self) -> bytes:
        """The 32 bytes that name the session, once there is an invitation."""
        return self._given().session

    def contribution(self, *, entropy: bytes, part: Part) -> bytes:
        """Return the Contribution frame for `part`. Call it only after the evidence was accepted.

        `entropy` is 64 fresh bytes, for the key of the stream and the secret of the confirmations.
        """
        assert self._key is not None, "an observer contributes nothing"
        self.conversation.step(F.CONTRIBUTION)
        invitation = self._given()
        stream_key, secret = entropy[:KEY_SIZE], entropy[KEY_SIZE : 2 * KEY_SIZE]
        keys = sealed_keys(stream=stream_key, session=secret)
        bound = contribution_binding(self._request, self._invited, invitation.session, self._package, commit_keys(keys))
        self._part = part
        self._sealer = Sealer(stream_key)
        self._confirmer = Confirmer(derive(secret, bound, "received"))
        contribution = Contribution(
            provider=self._public,
            signature=self._key.sign(bound),
            sealed=hpke_seal(keys, invitation.hpke, info=bound),
            commitment=commit_keys(keys),
        )
        self._contribution = frame(F.CONTRIBUTION, contribution.to_bytes())
        return self._contribution

    def again(self) -> bytes:
        """Return the same Contribution frame, to continue after an interruption; see `resume`."""
        self.conversation.step(F.CONTRIBUTION)
        return self._contribution

    def resume(self) -> int:
        """Rewind the stream to the first chunk that the Keep has not confirmed; returns its number."""
        assert self._sealer is not None  # the table lets no contribution be repeated before it was made
        self._sealer.rewind(self.confirmed)
        return self.confirmed

    def chunk(self, plaintext: bytes | memoryview, buffer: bytearray, *, final: bool) -> memoryview:
        """Return the frame of the part's next chunk, a view of `buffer`, which has PART_BUFFER bytes."""
        self.conversation.step(F.PART)
        assert self._sealer is not None  # the table lets no chunk out before a contribution
        if not final and len(plaintext) != CHUNK:
            raise DeliveryError("stream-misuse", "only the last chunk may be short", state="giving")
        out, size = memoryview(buffer), PART_HEADER.size + len(plaintext) + TAG
        out[: FRAME_HEADER.size] = frame_head(F.PART, size)
        PART_HEADER.pack_into(out, FRAME_HEADER.size, self._index(), self._sealer.next)
        self._sealer.seal_into(plaintext, out[PART_START : FRAME_HEADER.size + size], final=final)
        if final:
            self.conversation.step(LAST_PART)
        return out[: FRAME_HEADER.size + size]

    def received(self, payload: bytes) -> bool | None:
        """Take a PART_RECEIVED; returns whether it confirms more chunks than before. None if it is for another provider.

        A confirmation of another attempt of this provider is skipped like that of another provider.
        """
        if self._confirmer is None or self._sealer is None or payload[:1] != bytes([self._index()]):
            return None
        self.conversation.step(F.PART_RECEIVED)
        try:
            count, before = confirmed(self._confirmer, payload[1:]), self.confirmed
        except DeliveryError:
            return None
        if count > self._sealer.sealed:
            raise DeliveryError("confirmation-broken", "the Keep confirms chunks that were not sealed", state="giving")
        self.confirmed = max(count, before)
        return self.confirmed > before

    def contributed(self, payload: bytes) -> bytes | None:
        """Return the digest of this provider's part, which the Keep signed. None if it is another provider's.

        DeliveryError if the signature is not this Keep's, or if the Keep has a part other than the one that was sealed.
        Frames from before the invitation can be read again once there is an invitation.
        """
        digest = confirmed_part(
            payload, session=self.session, package=self._package, identity=self._given().identity
        ).get(self._public)
        if digest is not None and self._part is not None and not same(digest, self._part.digest):
            raise DeliveryError("other-part", "the Keep already has another part of this provider", state="giving")
        return digest

    def declined(self, payload: bytes) -> str | None:
        """Return the code with which this attempt was declined, which proves nothing; None if it is another attempt."""
        declined = Declined.from_bytes(payload)
        mine = (self._request, hashlib.sha256(self._contribution[FRAME_HEADER.size :]).digest())
        return declined.code if declined.request in mine else None

    def _index(self) -> int:
        return self.manifest.providers.index(self.provider)

    def _given(self) -> Invitation:
        if self._invitation is None:
            raise self.conversation.unexpected(F.CONTRIBUTION)
        return self._invitation


def confirmed_part(payload: bytes, *, session: bytes, package: bytes, identity: bytes) -> dict[bytes, bytes]:
    """Return the provider's key and the digest of its part, from a CONTRIBUTED frame's payload.

    ParseError; DeliveryError if the Keep of this identity did not sign it for this session and package.
    """
    message = Contributed.from_bytes(payload)
    signed = contributed_transcript(session, package, message.provider, message.digest)
    verify_signature(identity, message.signature, signed, code="contributed-signature", state="session")
    return {message.provider: message.digest}


@record(hidden=("secret",))
class Granted(Terms):
    """A recipient's access to the output of one run: the terms of the session, and the secret that opens its records.

    It is as secret as the output. `Receipt.make` takes it as the terms of a receipt.
    """

    secret: bytes

    def opener(self) -> OutputOpener:
        """Return an opener of the output, from the first record after the grant on."""
        return OutputOpener(
            secret=self.secret, session=self.transcript, package=self.package, identity=self.identity, first=1
        )


def open_grant(payload: bytes, key: HpkeKey, *, package: bytes | None = None, session: bytes | None = None) -> Granted:
    """Return what a GRANT frame's payload gives the recipient that holds `key`.

    `package` and `session`, if the recipient was told them, are the only ones accepted. Nothing is known of the Keep yet: the
    caller verifies and appraises the evidence of `Granted.attested` with the report data `Granted.report_data`. ParseError;
    VerificationError if the parts do not belong together; DeliveryError if the grant is not for this recipient.
    """
    grant = Grant.from_bytes(payload)
    terms = Terms.from_bytes(grant.terms)
    manifest = terms.check("grant")
    if (package is not None and not same(package, terms.package)) or (
        session is not None and not same(session, terms.transcript)
    ):
        raise VerificationError("grant-other", "grant: it is for another package or session")
    signed = grant_transcript(terms.transcript, terms.package, grant.sealed)
    verify_signature(terms.identity, grant.signature, signed, code="grant-signature", state="session")
    keys = [recipient.key for recipient in manifest.recipients]
    if key.public not in keys or len(keys) != len(grant.sealed):
        raise DeliveryError("not-a-recipient", "the manifest names no recipient with this key", state="session")
    index = keys.index(key.public)
    secret = key.open(grant.sealed[index], info=grant_info(terms.transcript, terms.package, index))
    if len(secret) != KEY_SIZE:
        raise DeliveryError("grant-secret", "the grant holds no secret of an output", state="session")
    return Granted(**as_dict(terms), secret=secret)
