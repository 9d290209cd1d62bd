"""Simulated evidence, for trials. It proves nothing about hardware."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind
from enarx.verify.kinds.simulated.roots import SIMULATED_ROOTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.claims import Claims


def _detect(_: bytes) -> bool:
    """Never: evidence counts as simulated only if the user says so."""
    return False


def _examiner() -> Examine:
    from enarx.verify.kinds.simulated.examine import examine

    return examine


def _claims() -> type[Claims]:
    from enarx.verify.kinds.simulated.claims import SimulatedClaims

    return SimulatedClaims


KIND = Kind(
    name="simulated",
    detect=_detect,
    examiner=_examiner,
    claims=_claims,
    roots=(SIMULATED_ROOTS,),
    unendorsed="there is nobody to endorse it",
)
