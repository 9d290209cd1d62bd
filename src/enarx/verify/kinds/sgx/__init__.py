"""Intel SGX: an enclave's quote (DCAP)."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims


def _detect(data: bytes) -> bool:
    from enarx.formats.evidence.families.dcap import SGX, begins

    return begins(data, SGX)


def _examiner() -> Examine:
    from enarx.verify.kinds.sgx.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.sgx.claims import SgxClaims

    return SgxClaims


KIND = Kind(
    name="sgx",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    report_size=64,
)
