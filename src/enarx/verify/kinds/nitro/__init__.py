"""AWS Nitro Enclaves: an attestation document in COSE, which contains its certificates."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind
from enarx.verify.kinds.nitro.roots import AWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims


def _detect(data: bytes) -> bool:
    return data[:2] in (b"\x84\x44", b"\xd2\x84", b"\x84\x58")


def _examiner() -> Examine:
    from enarx.verify.kinds.nitro.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.nitro.claims import NitroClaims

    return NitroClaims


def _time(data: bytes) -> int:
    from enarx.formats.evidence.nitro import Evidence

    return Evidence.from_bytes(data).time


KIND = Kind(
    name="nitro",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    roots=(AWS,),
    time=_time,
    unendorsed="its documents carry their certificates",
)
