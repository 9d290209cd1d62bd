"""Azure's confidential VMs on Intel TDX: evidence of kind tdx, and a virtual TPM's quote that stands on it."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind, Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims
    from enarx.verify.kinds import Request


def _detect(data: bytes) -> bool:
    from enarx.formats.evidence.families.azure import TDX, begins

    return begins(data, TDX)


def _examiner() -> Examine:
    from enarx.verify.kinds.az_tdx_vtpm.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.az_tdx_vtpm.claims import AzTdxClaims

    return AzTdxClaims


def _registers(claims: Claims) -> Registers:
    from enarx.verify.kinds.az_tdx_vtpm.claims import AzTdxClaims
    from enarx.verify.replay import PCRS, pcr_values

    assert isinstance(claims, AzTdxClaims)
    return Registers(PCRS, "sha256", pcr_values(claims.pcrs))


def _request(data: bytes) -> Request:
    from enarx.formats.evidence.az_tdx_vtpm import read
    from enarx.formats.evidence.tdx import Evidence
    from enarx.verify.families.intel.collateral import request

    return request(Evidence.from_bytes(read(data).td_quote).quote)


KIND = Kind(
    name="az-tdx-vtpm",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    parts=("tdx",),
    registers=_registers,
    unmeasured="pcrs",
    request=_request,
)
