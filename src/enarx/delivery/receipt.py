"""A receipt proves to anyone how a workload ended and what it wrote (docs/spec/delivery.md, "Receipt").

It holds no secret. This module does not verify the evidence: before relying on the rest, the caller verifies and appraises
it with the report data that `Receipt.report_data` returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Self

from enarx.delivery.messages import (
    MAX_TIME,
    ROLE_ADMIT,
    VERSION,
    Attestation,
    Challenge,
    binding,
    expect,
    number,
    report_data,
    same,
    verifier_id,
)
from enarx.delivery.output import STREAMS, Chain
from enarx.delivery.reading import Final
from enarx.errors import DeliveryError, ParseError, VerificationError
from enarx.formats.package import Manifest, byte_strings
from enarx.formats.wire import decode, encode
from enarx.record import names, record

MAX_RECEIPT = 2 << 20
"""Bytes of the largest receipt: evidence with endorsements, a manifest and a final record."""


@record()
class Terms:
    """The messages that define a session: the exact Challenge, Attestation and manifest, and the Delivery's commitment and time."""

    challenge: bytes
    attestation: bytes
    manifest: bytes
    commitment: bytes
    time: int

    @property
    def package(self) -> bytes:
        """The digest of the delivered package."""
        return hashlib.sha256(self.manifest).digest()

    @property
    def identity(self) -> bytes:
        """The Keep's identity key, from its attestation."""
        return Attestation.from_bytes(self.attestation).identity

    @property
    def transcript(self) -> bytes:
        """The 32 bytes that name the session (`messages.binding`)."""
        return binding(
            challenge=self.challenge,
            attestation=self.attestation,
            package=self.package,
            commitment=self.commitment,
            time=self.time,
        )

    @property
    def attested(self) -> Attestation:
        """The attestation as a message, with the evidence in it."""
        return Attestation.from_bytes(self.attestation)

    @property
    def report_data(self) -> bytes:
        """The 64 bytes of report data that the evidence must carry."""
        return report_data(ROLE_ADMIT, self.challenge, self.attested.hpke, self.identity)

    def check(self, what: str) -> Manifest:
        """Return the manifest, after checking that the messages of `what` belong together; VerificationError if they do not.

        The attestation must answer the challenge, and the challenge must be for this manifest's package and from an owner
        that the manifest names.
        """
        challenge = Challenge.from_bytes(self.challenge)
        manifest = Manifest.from_bytes(self.manifest)
        if not same(self.attested.challenge, hashlib.sha256(self.challenge).digest()):
            raise _wrong(what, "challenge", "the attestation answers another challenge")
        if not same(challenge.package, self.package):
            raise _wrong(what, "package", "the challenge is for a package other than the manifest's")
        if not any(same(challenge.verifier, verifier_id(owner)) for owner in manifest.owners):
            raise _wrong(what, "owner", "none of the manifest's owners sent the challenge")
        return manifest

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding. Nothing is verified yet."""
        return cls._decoded(data, "terms")

    def to_bytes(self) -> bytes:
        """Return the canonical encoding of these terms."""
        return encode({"version": VERSION, **{name: getattr(self, name) for name in names(self)}})

    @classmethod
    def _decoded(cls, data: bytes, what: str) -> Self:
        """Parse, together with the messages inside; ParseError on anything but the canonical encoding."""
        value: Any = decode(data, what)
        if not isinstance(value, dict):
            raise ParseError(f"{what}-keys", f"{what}: wanted a map", what=what)
        expect(value.pop("version", 1), VERSION, what, "version")
        if set(value) != set(names(cls)):
            raise ParseError(f"{what}-keys", f"{what}: wanted exactly {', '.join(names(cls))}", what=what)
        if any(not isinstance(item, bytes) for name, item in value.items() if name != "time"):
            raise ParseError(f"{what}-types", f"{what}: wanted byte strings and a time", what=what)
        number(value["time"], MAX_TIME, what, "time")
        byte_strings([value["commitment"]], 32, what)
        Challenge.from_bytes(value["challenge"])
        Attestation.from_bytes(value["attestation"])
        return cls(**value)


@record()
class Receipt(Terms):
    """Terms, with the final record's body and its signature by the Keep's identity key."""

    body: bytes
    signature: bytes

    @classmethod
    def make(cls, terms: Terms, final: Final) -> Self:
        """Make the receipt of a run."""
        fields = {name: getattr(terms, name) for name in names(Terms)}
        return cls(**fields, body=final.body, signature=final.signature)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the canonical encoding. Nothing is verified yet."""
        if len(data) > MAX_RECEIPT:
            raise ParseError("receipt-size", f"receipt: {len(data)} bytes, at most {MAX_RECEIPT}", what="receipt")
        receipt = cls._decoded(data, "receipt")
        Final.from_parts(receipt.body, receipt.signature)
        return receipt

    def verify(self) -> Final:
        """Return how the run ended, after checking that the parts belong together; VerificationError if they do not.

        1. the attestation answers the challenge
        2. the challenge is for this manifest's package
        3. the challenge came from one of the manifest's owners
        4. the attested identity key signed the final record, for the package and the session that these parts give
        """
        self.check("receipt")
        final = Final.from_parts(self.body, self.signature)
        try:
            final.verify(identity=self.identity, session=self.transcript, package=self.package)
        except DeliveryError as e:
            raise _wrong(
                "receipt", "signature", "the attested Keep did not sign this final record for this session"
            ) from e
        return final

    def verify_output(self, final: Final, stream: int, pieces: Iterable[bytes]) -> None:
        """Verify that these bytes, in pieces of any size, are the whole of stdout or stderr; VerificationError if not."""
        chain = Chain(self.transcript, stream)
        for piece in pieces:
            chain.update(piece)
        index = list(STREAMS).index(stream)
        size = (final.status.stdout, final.status.stderr)[index]
        if chain.offset != size or not same(chain.digest, final.digests[index]):
            raise _wrong("receipt", "output", f"{STREAMS[stream]} is not what the workload wrote")


def _wrong(what: str, code: str, message: str) -> VerificationError:
    return VerificationError(f"{what}-{code}", f"{what}: {message}")
