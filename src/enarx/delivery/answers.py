"""The messages that a Keep sends to the other owners of data, parsed (docs/spec/contributions.md).

A Keep only makes them (`keep.core.gathering`), so it does not hold this module.
"""

from __future__ import annotations

from typing import Any

from enarx.delivery.messages import ATTESTED, HPKE_PUBLIC_SIZE, Message
from enarx.errors import ParseError
from enarx.formats.package import MAX_MANIFEST
from enarx.formats.sharing import MAX_PARTIES
from enarx.formats.wire import LARGEST, MAX_EVIDENCE, FrameType
from enarx.record import record


def _code(value: Any, what: str, name: str) -> str:
    if not isinstance(value, str) or len(value) > 64 or not value.isascii() or not value.replace("-", "").isalnum():
        raise ParseError(f"{what}-{name}", f"{what}: wanted a short code", what=what)
    return value


def _sealed(value: Any, what: str, name: str) -> tuple[bytes, ...]:
    few = isinstance(value, list) and 1 <= len(value) <= MAX_PARTIES
    if not few or any(not isinstance(item, bytes) for item in value):
        raise ParseError(f"{what}-{name}", f"{what}: wanted 1 to {MAX_PARTIES} sealed secrets", what=what)
    return tuple(value)


@record()
class Invitation(Message):
    """The Keep's answer to a Join: evidence that binds the exact Join, a fresh HPKE key, identity key, session and package.

    `request` is the SHA-256 of the Join.
    """

    kind: str
    evidence: bytes
    endorsements: tuple[bytes, ...]
    hpke: bytes
    identity: bytes
    session: bytes
    manifest: bytes
    request: bytes
    SIZES = {
        "evidence": range(1, MAX_EVIDENCE + 1),
        "hpke": HPKE_PUBLIC_SIZE,
        "identity": 32,
        "session": 32,
        "manifest": range(1, MAX_MANIFEST + 1),
        "request": 32,
    }
    OTHERS = ATTESTED


@record()
class Contributed(Message):
    """The Keep's confirmation, signed by its identity key, that it has the whole part with this digest."""

    provider: bytes
    digest: bytes
    signature: bytes
    SIZES = {"provider": 32, "digest": 32, "signature": 64}


@record()
class Declined(Message):
    """The Keep's refusal of a Join or a Contribution, or the end of an attempt. It travels in clear and proves nothing.

    `request` is the SHA-256 of the Join or Contribution.
    """

    provider: bytes
    request: bytes
    code: str
    SIZES = {"provider": 32, "request": 32}
    OTHERS = {"code": _code}


@record()
class Grant(Message):
    """The output's secret, sealed to each recipient, with all that a recipient needs to verify the Keep.

    `terms` are the encoded `receipt.Terms` of the session. `sealed` has one entry for each of the manifest's recipients. The
    identity key signs session, package and `sealed`.
    """

    terms: bytes
    sealed: tuple[bytes, ...]
    signature: bytes
    SIZES = {"terms": range(1, LARGEST[FrameType.GRANT] + 1), "signature": 64}
    OTHERS = {"sealed": _sealed}
