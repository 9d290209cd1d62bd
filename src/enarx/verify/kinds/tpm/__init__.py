"""TPM 2.0: a quote of registers, signed by a key of the TPM."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind, Registers
from enarx.verify.kinds.tpm.roots import ATTESTATION_KEYS, MAKERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims


def _detect(data: bytes) -> bool:
    return data[:1] == b"\n" and b"\xff\x54\x43\x47\x80\x18" in data[:4096]


def _examiner() -> Examine:
    from enarx.verify.kinds.tpm.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.tpm.claims import TpmClaims

    return TpmClaims


def _registers(claims: Claims) -> Registers:
    from enarx.verify.kinds.tpm.claims import TpmClaims
    from enarx.verify.replay import PCRS, pcr_values

    assert isinstance(claims, TpmClaims)
    return Registers(PCRS, claims.pcr_bank, pcr_values(claims.pcrs))


KIND = Kind(
    name="tpm",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    roots=(
        ATTESTATION_KEYS,
        MAKERS,
    ),
    registers=_registers,
    unendorsed="the key is what you know of the TPM; give it with --trust-anchor",
)
