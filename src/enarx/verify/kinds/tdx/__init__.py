"""Intel TDX: a trust domain's quote (DCAP)."""

from __future__ import annotations

from enarx.verify.families.intel.roots import INTEL
from enarx.verify.kinds import Examine, Kind, Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims
    from enarx.verify.kinds import Request


def _detect(data: bytes) -> bool:
    from enarx.formats.evidence.families.dcap import TDX, begins

    return begins(data, TDX)


def _examiner() -> Examine:
    from enarx.verify.kinds.tdx.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.tdx.claims import TdxClaims

    return TdxClaims


def _registers(claims: Claims) -> Registers:
    from enarx.verify.kinds.tdx.claims import TdxClaims
    from enarx.verify.replay import RTMRS

    assert isinstance(claims, TdxClaims)
    return Registers(RTMRS, "sha384", dict(enumerate((claims.rtmr0, claims.rtmr1, claims.rtmr2, claims.rtmr3), 1)))


def _request(data: bytes) -> Request:
    from enarx.formats.evidence.tdx import Evidence
    from enarx.verify.families.intel.collateral import request

    return request(Evidence.from_bytes(data).quote)


KIND = Kind(
    name="tdx",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    roots=(INTEL,),
    report_size=64,
    registers=_registers,
    unmeasured="rtmr0 to rtmr2",
    request=_request,
)
