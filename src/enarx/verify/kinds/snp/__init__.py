"""AMD SEV-SNP: a guest's report, signed by the chip's key (VCEK) or by one of its provider's (VLEK)."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind
from enarx.verify.kinds.snp.roots import AMD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims
    from enarx.verify.kinds import Request


def _detect(data: bytes) -> bool:
    """Whether the bytes begin with a plausible version. Reports have no magic number."""
    return len(data) >= 1000 and 1 < int.from_bytes(data[:4], "little") < 256


def _examiner() -> Examine:
    from enarx.verify.kinds.snp.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.snp.claims import SnpClaims

    return SnpClaims


def _request(data: bytes) -> Request:
    from enarx.verify.kinds.snp.endorse import request

    return request(data)


KIND = Kind(
    name="snp",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    roots=(AMD,),
    report_size=64,
    request=_request,
)
