"""What Azure's paravisor changes in the trustworthiness vector of a trust domain."""

from __future__ import annotations

from enarx.record import replace
from enarx.verify.matchers import Exactly
from enarx.verify.values import Bits
from tests.verify.test_rules import exact
from tests.verify.test_trust import tier, under
from tests.verify.vectors import LEFT


def test_azures_paravisor_is_in_between() -> None:
    policy = replace(exact("az-tdx-vtpm"), sept_ve_disable=LEFT, td_attributes=Exactly(Bits(0)))
    assert tier(under("az-tdx-vtpm", policy, report={120: bytes(8)})) == "affirming"
