"""Intel TDX: a trust domain's quote (DCAP)."""

from __future__ import annotations

from enarx.verify.families.intel.roots import INTEL
from enarx.verify.kinds import Examine, Kind, Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.kinds import Request
    from enarx.verify.policy import AppraisalPolicy
    from enarx.verify.result import Claims
    from enarx.verify.trust import Trust


def _detect(data: bytes) -> bool:
    from enarx.formats.evidence.families.dcap import TDX, begins

    return begins(data, TDX)


def _examiner() -> Examine:
    from enarx.verify.kinds.tdx.examine import examine

    return examine


def _policy() -> type[AppraisalPolicy]:
    from enarx.verify.kinds.tdx.claims import TdxPolicy

    return TdxPolicy


def _template() -> str:
    from enarx.verify.kinds.tdx.claims import TEMPLATE

    return TEMPLATE


def _trust() -> Trust:
    from enarx.verify.kinds.tdx.trust import TRUST

    return TRUST


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
    policy=_policy,
    template=_template,
    trust=_trust,
    roots=(INTEL,),
    report_size=64,
    registers=_registers,
    unmeasured="rtmr0 to rtmr2",
    request=_request,
)
