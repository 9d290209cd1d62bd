"""Simulated evidence, for trying things out. It proves nothing about hardware."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind
from enarx.verify.kinds.simulated.roots import SIMULATED_ROOTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.policy import AppraisalPolicy
    from enarx.verify.trust import Trust


def _detect(_: bytes) -> bool:
    """Never: simulated evidence is taken for such only where the user says so."""
    return False


def _examiner() -> Examine:
    from enarx.verify.kinds.simulated.examine import examine

    return examine


def _policy() -> type[AppraisalPolicy]:
    from enarx.verify.policy import SimulatedPolicy

    return SimulatedPolicy


def _trust() -> Trust:
    from enarx.verify.kinds.simulated.trust import TRUST

    return TRUST


KIND = Kind(
    name="simulated",
    detect=_detect,
    examiner=_examiner,
    policy=_policy,
    template=str,
    trust=_trust,
    roots=(SIMULATED_ROOTS,),
    unendorsed="there is nobody to endorse it",
)
