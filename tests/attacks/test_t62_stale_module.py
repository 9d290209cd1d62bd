"""T62: a host runs a trust domain under a TDX module that is out of date, or was when the domain was launched."""

from __future__ import annotations

import pytest

from enarx.verify.policy_file import template
from tests.attacks.handed import Party
from tests.forge import intel

LEVELS = [intel.level(svn=7), intel.level("OutOfDate", svn=5), intel.level("Revoked", svn=3)]
MODULES = [
    {"id": "TDX_01", "mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "ff" * 8, "tcbLevels": LEVELS}
]
pytestmark = pytest.mark.kinds("tdx")


def policy() -> str:
    """A policy that accepts the measurement of the forge's trust domains."""
    return template("tdx").replace('measurement = "' + "00" * 48, 'measurement = "' + "01" * 48)


def quote(launch: int, current: int, *, size: int = 648) -> bytes:
    svns = {"tee_tcb_svn": (0, bytes([launch, 1]) + b"\3" * 14)}
    if size > 584:
        svns["tee_tcb_svn_2"] = (584, bytes([current, 1]) + b"\3" * 14)
    return intel.quote(version=5 if size > 584 else 4, body=intel.domain(size, **svns))


def collateral(platform: str = "UpToDate") -> bytes:
    return intel.collateral(tcb=intel.info(tdxModuleIdentities=MODULES, tcbLevels=[intel.platform_level(platform)]))


@pytest.mark.parametrize("size", [648, 885])
@pytest.mark.parametrize(
    ("launch", "current", "code", "failed"),
    [
        (7, 7, 0, set()),
        (7, 9, 0, set()),
        (7, 5, 126, {"current-tcb-status"}),
        (7, 3, 126, {"current-tcb-status"}),
        (7, 2, 126, {"current-tdx-module"}),
        (5, 7, 126, {"tcb-status"}),
        (2, 7, 126, {"tdx-module"}),
        (5, 5, 126, {"tcb-status", "current-tcb-status"}),
    ],
)
def test_both_modules_are_held_against_the_policy(
    party: Party, launch: int, current: int, code: int, failed: set[str], size: int
) -> None:
    found = party.verify(quote(launch, current, size=size), policy=policy(), collateral=collateral())
    assert (found.exit, {id for id, outcome in found.outcomes.items() if outcome == "failed"}) == (code, failed)


@pytest.mark.parametrize(
    ("platform", "word"),
    [("UpToDate", "TDRelaunchAdvised"), ("ConfigurationNeeded", "TDRelaunchAdvisedConfigurationNeeded")],
)
def test_a_domain_that_should_be_launched_anew(party: Party, platform: str, word: str) -> None:
    found = party.verify(quote(5, 7), policy=policy(), collateral=collateral(platform))
    assert (found.exit, found.check("tcb-status")["got"]) == (126, word)
    assert "launched anew" in found.check("tcb-status")["hint"]
    allowed = policy().replace(
        'tcb_status = { any_of = ["UpToDate"] }', f'tcb_status = {{ any_of = ["{word}", "{platform}", "UpToDate"] }}'
    )
    assert party.verify(quote(5, 7), policy=allowed, collateral=collateral(platform)).exit == 0


def test_a_component_of_the_module_now(party: Party) -> None:
    """Below every TCB level of the platform, although the module itself is known."""
    levels = [intel.platform_level(tdx=(0, 0, 3, *(0,) * 13))]
    body = intel.domain(648, tee_tcb_svn_2=(584, bytes([5, 1, 2]) + b"\3" * 13))
    given = intel.collateral(tcb=intel.info(tcbLevels=levels))
    found = party.verify(intel.quote(version=5, body=body), collateral=given)
    assert (found.exit, found.outcomes["tcb-level"], found.outcomes["current-tcb-level"]) == (126, "passed", "failed")
    assert "TDX component 3 at least 3 (is 2)" in found.check("current-tcb-level")["wanted"]


def test_reports_of_tdx_1_0_have_one_module(party: Party) -> None:
    assert party.verify(quote(7, 0, size=584), policy=policy(), collateral=collateral()).exit == 0
    found = party.verify(quote(5, 0, size=584), policy=policy(), collateral=collateral())
    assert {id for id, outcome in found.outcomes.items() if outcome == "failed"} == {"tcb-status", "current-tcb-status"}
