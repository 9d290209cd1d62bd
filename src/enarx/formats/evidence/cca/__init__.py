"""Arm CCA attestation tokens: one of the platform and one of the realm, bound to each other.

draft-ffm-rats-cca-token, 4 (claims) and 5 (collection), which wants its readers to take every encoding of CBOR; Realm Management
Monitor specification (Arm DEN0137), A7.
"""

from __future__ import annotations

from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.checks import same
from enarx.formats.evidence.families.cose import Sign1, decode, sign1
from enarx.record import record

WHAT = "CCA token"
MAX_SIZE = 64 << 10
COLLECTION, CMW = 399, 907
"""Tags: of the collection as it was up to draft 01, and as a conceptual message wrapper, with the type of each entry beside it."""

EAT_CWT = 263
"""CoAP's number for application/eat+cwt: what each entry of the newer form says that it is."""

HEADERS = frozenset((3, 4, 33, 34))
"""COSE parameters beside the algorithm: type, key id, x5chain, x5t. They name keys, and the caller's are believed alone."""

PLATFORM, REALM = 44234, 44241
HASHES = ("sha-256", "sha-384", "sha-512")
DIGESTS = (32, 48, 64)
EXTENSIBLE = 4


@record()
class Component:
    """Software of the platform; texts are empty where there are none."""

    type: str
    measurement: bytes
    version: str
    signer: bytes


@record()
class Evidence:
    """Both tokens. `rak` is the realm's key as it stands, a raw point or a COSE_Key; `rak_hash` names the hash of it that is
    the platform token's `platform_nonce`. `lifecycle` is as the platform says (draft, 4.3.1).
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
        """ParseError for anything but a collection of exactly these two tokens, with the claims that they must have."""
        if len(data) > MAX_SIZE:
            raise ParseError("token-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
        platform, realm = _tokens(decode(data, WHAT, tags=frozenset((COLLECTION, CMW)), variant=True))
        of_platform, of_realm = (_Claims(decode(token.payload, WHAT, variant=True)) for token in (platform, realm))
        rems = of_realm.array(44239)
        if len(rems) != EXTENSIBLE or not all(isinstance(rem, bytes) and len(rem) in DIGESTS for rem in rems):
            raise _wrong("44239", "wanted four measurements")
        return cls(
            platform=platform,
            realm=realm,
            profile=of_platform.text(265),
            platform_nonce=of_platform.bytes(10, DIGESTS),
            implementation_id=of_platform.bytes(2396, (32,)),
            instance_id=of_platform.bytes(256, (33,)),
            config=of_platform.bytes(2401, range(4097)),
            lifecycle=of_platform.number(2395, 1 << 16),
            components=_components(of_platform),
            challenge=of_realm.bytes(10, (64,)),
            personalization=of_realm.bytes(44235, (64,)),
            rim=of_realm.bytes(44238, DIGESTS),
            rems=tuple(rems),
            rak=of_realm.bytes(44237, range(1, 513)),
            rak_hash=of_realm.text(44240),
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """As received."""
        return self.raw

    @property
    def signed(self) -> bytes:
        """What the platform's key signed, as received; the realm's key is bound by it."""
        return self.platform.signed


def _wrong(claim: str, said: str) -> ParseError:
    return ParseError("token-claim", f"{claim}: {said}", what=WHAT)


def _tokens(value: object) -> tuple[Sign1, Sign1]:
    """Those of platform and realm. What stands beside them in the newer form is not looked at."""
    newer = getattr(value, "tag", COLLECTION) == CMW
    value = getattr(value, "value", value)
    both = {PLATFORM, REALM}
    if not isinstance(value, dict) or not both <= set(value) or not (newer or set(value) == both):
        raise _wrong("collection", "wanted a platform token and a realm token")
    return _token(value[PLATFORM], newer=newer), _token(value[REALM], newer=newer)


def _token(value: object, *, newer: bool) -> Sign1:
    if newer:
        if not isinstance(value, list) or len(value) not in (2, 3) or not same(value[0], EAT_CWT):
            raise _wrong("collection", f"wanted entries of type {EAT_CWT}")
        value = value[1]
    if not isinstance(value, bytes):
        raise _wrong("collection", "wanted tokens as byte strings")
    return sign1(value, WHAT, more=HEADERS, variant=True)


def _components(claims: _Claims) -> tuple[Component, ...]:
    found = tuple(map(_component, claims.array(2399)))
    if not found:
        raise _wrong("2399", "wanted one component at least")
    return found


def _component(value: Any) -> Component:
    claims = _Claims(value)
    return Component(
        type=claims.text(1) if 1 in claims.table else "",
        measurement=claims.bytes(2, DIGESTS),
        version=claims.text(4) if 4 in claims.table else "",
        signer=claims.bytes(5, DIGESTS),
    )


class _Claims:
    """A map of claims by number; each is wanted, of its type."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise _wrong("claims", "wanted a map")
        self.table: dict[Any, Any] = value

    def text(self, key: int) -> str:
        value = self.table.get(key)
        if not isinstance(value, str) or not value.isprintable() or len(value) > 1024:
            raise _wrong(str(key), "wanted a text")
        return value

    def bytes(self, key: int, sizes: tuple[int, ...] | range) -> bytes:
        value = self.table.get(key)
        if not isinstance(value, bytes) or len(value) not in sizes:
            raise _wrong(str(key), f"wanted bytes, {sizes}")
        return value

    def number(self, key: int, end: int) -> int:
        value = self.table.get(key)
        if type(value) is not int or not 0 <= value < end:
            raise _wrong(str(key), f"wanted 0 to {end - 1}")
        return value

    def array(self, key: int) -> list[Any]:
        value = self.table.get(key)
        if not isinstance(value, list) or len(value) > 256:
            raise _wrong(str(key), "wanted an array")
        return value
