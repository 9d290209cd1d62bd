"""Arm CCA attestation tokens: one of the platform and one of the realm, bound to each other.

draft-ffm-rats-cca-token, 4 (claims) and 5 (collection), which requires readers to accept every encoding of CBOR; Realm
Management Monitor specification (Arm DEN0137), A7.
"""

from __future__ import annotations

from typing import Self

from enarx.errors import ParseError
from enarx.formats.checks import same
from enarx.formats.evidence.families.cose import Sign1, decode, sign1
from enarx.formats.fields import Fields
from enarx.record import record

WHAT = "CCA token"
MAX_SIZE = 64 << 10
COLLECTION, CMW = 399, 907
"""Tags of the collection: its form up to draft 01, and as a conceptual message wrapper whose entries have types."""

EAT_CWT = 263
"""CoAP's number for application/eat+cwt, the type of each entry in the newer form."""

HEADERS = frozenset((3, 4, 33, 34))
"""COSE parameters besides the algorithm: type, key id, x5chain, x5t. They name keys, but only the caller's keys are trusted."""

PLATFORM, REALM = 44234, 44241
HASHES = ("sha-256", "sha-384", "sha-512")
DIGESTS = (32, 48, 64)
EXTENSIBLE = 4
MAX_TEXT = 1024


@record()
class Component:
    """A software component of the platform. `type` and `version` are empty if missing."""

    type: str
    measurement: bytes
    version: str
    signer: bytes


@record()
class Evidence:
    """A platform token and a realm token.

    lifecycle  state of the platform (draft, 4.3.1)
    rak        the realm's key as received: a raw point or a COSE_Key
    rak_hash   name of the hash of `rak` that is the platform token's `platform_nonce`
    """

    platform: Sign1
    realm: Sign1
    profile: str
    platform_nonce: bytes
    implementation_id: bytes
    instance_id: bytes
    config: bytes
    lifecycle: int
    components: tuple[Component, ...]
    challenge: bytes
    personalization: bytes
    rim: bytes
    rems: tuple[bytes, ...]
    rak: bytes
    rak_hash: str
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a collection of these two tokens with their mandatory claims. ParseError for anything else."""
        if len(data) > MAX_SIZE:
            raise ParseError("token-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
        platform, realm = _tokens(decode(data, WHAT, tags=frozenset((COLLECTION, CMW)), variant=True))
        of_platform, of_realm = _claims(platform, "platform"), _claims(realm, "realm")
        rems = of_realm.array(44239)
        if len(rems) != EXTENSIBLE or not all(isinstance(rem, bytes) and len(rem) in DIGESTS for rem in rems):
            raise of_realm.error(44239, "four measurements")
        components = of_platform.each(2399, _component)
        if not components:
            raise of_platform.error(2399, "one component at least")
        return cls(
            platform=platform,
            realm=realm,
            profile=of_platform.text(265, longest=MAX_TEXT),
            platform_nonce=of_platform.binary(10, DIGESTS),
            implementation_id=of_platform.binary(2396, (32,)),
            instance_id=of_platform.binary(256, (33,)),
            config=of_platform.binary(2401, range(4097)),
            lifecycle=of_platform.number(2395, 1 << 16),
            components=components,
            challenge=of_realm.binary(10, (64,)),
            personalization=of_realm.binary(44235, (64,)),
            rim=of_realm.binary(44238, DIGESTS),
            rems=tuple(rems),
            rak=of_realm.binary(44237, range(1, 513)),
            rak_hash=of_realm.text(44240, longest=MAX_TEXT),
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """The bytes that the evidence was parsed from."""
        return self.raw

    @property
    def signed(self) -> bytes:
        """The bytes that the platform's key signed, as received. They bind the realm's key."""
        return self.platform.signed


def _wrong(part: str, message: str) -> ParseError:
    return ParseError("token-field", f"{part}: {message}", what=WHAT)


def _tokens(value: object) -> tuple[Sign1, Sign1]:
    """The tokens of platform and realm. Other entries of the newer form are ignored."""
    newer = getattr(value, "tag", COLLECTION) == CMW
    value = getattr(value, "value", value)
    both = {PLATFORM, REALM}
    if not isinstance(value, dict) or not both <= set(value) or not (newer or set(value) == both):
        raise _wrong("collection", "wanted a platform token and a realm token")
    return _token(value[PLATFORM], newer=newer), _token(value[REALM], newer=newer)


def _claims(token: Sign1, name: str) -> Fields:
    return Fields(decode(token.payload, WHAT, variant=True), WHAT, code="token", path=name)


def _token(value: object, *, newer: bool) -> Sign1:
    if newer:
        if not isinstance(value, list) or len(value) not in (2, 3) or not same(value[0], EAT_CWT):
            raise _wrong("collection", f"wanted entries of type {EAT_CWT}")
        value = value[1]
    if not isinstance(value, bytes):
        raise _wrong("collection", "wanted tokens as byte strings")
    return sign1(value, WHAT, more=HEADERS, variant=True)


def _component(claims: Fields) -> Component:
    return Component(
        type=claims.text(1, longest=MAX_TEXT) if 1 in claims else "",
        measurement=claims.binary(2, DIGESTS),
        version=claims.text(4, longest=MAX_TEXT) if 4 in claims else "",
        signer=claims.binary(5, DIGESTS),
    )
