"""Arm CCA: the tokens of a platform and of a realm on it, bound to each other."""

from __future__ import annotations

from enarx.verify.kinds import Examine, Kind
from enarx.verify.kinds.cca.roots import PLATFORM_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.verify.policy import AppraisalPolicy
    from enarx.verify.trust import Trust


def _detect(data: bytes) -> bool:
    return data[:3] in (b"\xd9\x01\x8f", b"\xd9\x03\x8b")


def _examiner() -> Examine:
    from enarx.verify.kinds.cca.examine import examine

    return examine


def _policy() -> type[AppraisalPolicy]:
    from enarx.verify.kinds.cca.claims import CcaPolicy

    return CcaPolicy


def _template() -> str:
    from enarx.verify.kinds.cca.claims import TEMPLATE

    return TEMPLATE


def _trust() -> Trust:
    from enarx.verify.kinds.cca.trust import TRUST

    return TRUST


KIND = Kind(
    name="cca",
    detect=_detect,
    examiner=_examiner,
    policy=_policy,
    template=_template,
    trust=_trust,
    roots=(PLATFORM_KEYS,),
    report_size=64,
    unendorsed="there is no public root; give the platform's key with --trust-anchor",
)
