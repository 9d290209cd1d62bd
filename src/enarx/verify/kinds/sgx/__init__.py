"""Intel SGX: an enclave's quote (DCAP)."""

from __future__ import annotations

from enarx.verify.families.intel.roots import INTEL
from enarx.verify.kinds import Examine, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims
    from enarx.verify.kinds import Request


def _detect(data: bytes) -> bool:
    from enarx.formats.evidence.families.dcap import SGX, begins

    return begins(data, SGX)


def _examiner() -> Examine:
    from enarx.verify.kinds.sgx.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.sgx.claims import SgxClaims

    return SgxClaims


def _request(data: bytes) -> Request:
    from enarx.formats.evidence.sgx import Evidence
    from enarx.verify.families.intel.collateral import request

    return request(Evidence.from_bytes(data).quote)


KIND = Kind(
    name="sgx",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    roots=(INTEL,),
    report_size=64,
    request=_request,
)
