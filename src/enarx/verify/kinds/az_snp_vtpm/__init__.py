"""Azure's confidential VMs on AMD SEV-SNP: evidence of kind snp, and a virtual TPM's quote that stands on it."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind, Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims
    from enarx.verify.kinds import Request


def _detect(data: bytes) -> bool:
    from enarx.formats.evidence.families.azure import SNP, begins

    return begins(data, SNP)


def _examiner() -> Examine:
    from enarx.verify.kinds.az_snp_vtpm.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.az_snp_vtpm.claims import AzSnpClaims

    return AzSnpClaims


def _registers(claims: Claims) -> Registers:
    from enarx.verify.kinds.az_snp_vtpm.claims import AzSnpClaims
    from enarx.verify.replay import PCRS, pcr_values

    assert isinstance(claims, AzSnpClaims)
    return Registers(PCRS, "sha256", pcr_values(claims.pcrs))


def _request(data: bytes) -> Request:
    from enarx.formats.evidence.az_snp_vtpm import read
    from enarx.verify.kinds.snp.endorse import request

    return request(read(data).hcl.report)


KIND = Kind(
    name="az-snp-vtpm",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    parts=("snp",),
    registers=_registers,
    unmeasured="pcrs",
    request=_request,
)
