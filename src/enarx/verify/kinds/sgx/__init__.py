"""Intel SGX: an enclave's quote (DCAP)."""

from __future__ import annotations

from enarx.verify.families.intel.roots import INTEL
from enarx.verify.kinds import Examine, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.kinds import Request
    from enarx.verify.policy import AppraisalPolicy
    from enarx.verify.trust import Trust


def _detect(data: bytes) -> bool:
    from enarx.formats.evidence.families.dcap import SGX, begins

    return begins(data, SGX)


def _examiner() -> Examine:
    from enarx.verify.kinds.sgx.examine import examine

    return examine


def _policy() -> type[AppraisalPolicy]:
    from enarx.verify.kinds.sgx.claims import SgxPolicy

    return SgxPolicy


def _template() -> str:
    from enarx.verify.kinds.sgx.claims import TEMPLATE

    return TEMPLATE


def _trust() -> Trust:
    from enarx.verify.kinds.sgx.trust import TRUST

    return TRUST


def _request(data: bytes) -> Request:
    from enarx.formats.evidence.sgx import Evidence
    from enarx.verify.families.intel.collateral import request

    return request(Evidence.from_bytes(data).quote)


KIND = Kind(
    name="sgx",
    detect=_detect,
    examiner=_examiner,
    policy=_policy,
    template=_template,
    trust=_trust,
    roots=(INTEL,),
    report_size=64,
    request=_request,
)
