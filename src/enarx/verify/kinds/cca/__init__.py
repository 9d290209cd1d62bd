"""Arm CCA: a platform token and the token of a realm, bound to each other."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind
from enarx.verify.kinds.cca.roots import PLATFORM_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims


def _detect(data: bytes) -> bool:
    return data[:3] in (b"\xd9\x01\x8f", b"\xd9\x03\x8b")


def _examiner() -> Examine:
    from enarx.verify.kinds.cca.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.cca.claims import CcaClaims

    return CcaClaims


KIND = Kind(
    name="cca",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    roots=(PLATFORM_KEYS,),
    report_size=64,
    unendorsed="there is no public root; give the platform's key with --trust-anchor",
)
