"""What a trustworthiness vector says of each rule of each policy that passed, failed or leaves something open."""

from __future__ import annotations

from typing import Any

import pytest

from enarx.record import names, replace
from enarx.verify import AppraisalPolicy, AttestationResult
from enarx.verify.claims import declared
from enarx.verify.ear import status
from enarx.verify.kinds import HARDWARE, find
from enarx.verify.result import REFUSED, TRUSTED, UNDECIDED
from enarx.verify.trust import INSTANCE, VALUES, rank, vector
from tests.verify.kinds import VECTORS
from tests.verify.kinds.simulated import test_simulated
from tests.verify.test_rules import FORGES, RULES, UNKNOWN, control, exact, fixed, verdict_on, without
from tests.verify.vectors import LEFT, Varies


def tier(result: AttestationResult) -> str:
    return status(result, vector(result))


def under(kind: str, policy: AppraisalPolicy, **forged: Any) -> AttestationResult:
    """Evidence that the policy trusts."""
    return control(kind, given=FORGES[kind](**forged), policy=policy).but()


def rules() -> list[tuple[str, str]]:
    return [(kind, name) for kind in HARDWARE for name in names(exact(kind))]


CHECKED = [(kind, name) for kind, name in rules() if name != "kind"]


@pytest.mark.parametrize("kind", HARDWARE)
def test_with_every_rule_set_all_that_the_kind_can_say_is_affirmed(kind: str) -> None:
    result = under(kind, exact(kind))
    claims = {claim.trustworthiness_claim for claim in declared(find(kind).claims()).values()} - {""}
    assert vector(result) == {claim: VALUES[claim].passed for claim in claims}
    assert tier(result) == "affirming"


@pytest.mark.parametrize(("kind", "name"), CHECKED)
def test_a_rule_left_unchecked_lowers_what_it_decides(kind: str, name: str) -> None:
    says = declared(find(kind).claims())[name]
    before, result = vector(under(kind, exact(kind))), under(kind, replace(exact(kind), **{name: LEFT}))
    if not says.decides:
        left = vector(result)
        assert left == {
            claim: value for claim, value in before.items() if claim != says.trustworthiness_claim or claim in left
        }
        assert tier(result) == "affirming"
    elif says.trustworthiness_claim == INSTANCE:  # the machine says nothing about what runs
        assert (vector(result), tier(result)) == ({k: v for k, v in before.items() if k != INSTANCE}, "affirming")
    else:
        assert vector(result) == {**before, says.trustworthiness_claim: VALUES[says.trustworthiness_claim].left_open}
        assert tier(result) == "warning"


@pytest.mark.parametrize("kind", HARDWARE)
def test_what_decides_what_runs_is_never_left_open_by_an_affirming_result(kind: str) -> None:
    """Written down by hand for each kind: the measurement, kernel registers, a realm's registers, PCRs."""
    assert VECTORS[kind].decisive
    for field in VECTORS[kind].decisive:
        assert tier(under(kind, replace(exact(kind), **{field: LEFT}))) == "warning", field


@pytest.mark.parametrize(("kind", "name"), [c for c in CHECKED if isinstance(RULES[c[0]][c[1]], Varies)])
def test_a_rule_that_fails_contradicts_its_claim(kind: str, name: str) -> None:
    row: Any = RULES[kind][name]
    result = verdict_on(kind, FORGES[kind](**row.changes), without(exact(kind), *row.together))
    says = declared(find(kind).claims())[name]
    assert result.status == REFUSED
    assert tier(result) == "contraindicated"
    if says.trustworthiness_claim:
        assert rank(vector(result)[says.trustworthiness_claim]) == 3


@pytest.mark.parametrize(("kind", "name"), [one for one in UNKNOWN if declared(find(one[0]).claims())[one[1]].decides])
def test_what_is_not_known_is_as_good_as_unchecked(kind: str, name: str) -> None:
    changes, together = UNKNOWN[kind, name]
    result = verdict_on(kind, FORGES[kind](**changes), without(exact(kind), *(one for one in together if one != name)))
    says = declared(find(kind).claims())[name]
    assert result.status == UNDECIDED
    assert vector(result).get(says.trustworthiness_claim, 0) == VALUES[says.trustworthiness_claim].left_open
    assert tier(result) != "affirming"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, v in VECTORS.items() for name in v.vacuous])
def test_a_rule_that_leaves_open_what_it_decides_is_as_good_as_unchecked(kind: str, name: str) -> None:
    changes = VECTORS[kind].vacuous[name]
    ((field, _),) = changes.items()
    result = under(kind, replace(exact(kind), **changes))
    claim = declared(find(kind).claims())[field].trustworthiness_claim
    assert (vector(result)[claim], tier(result)) == (VALUES[claim].left_open, "warning")


@pytest.mark.parametrize(("kind", "i"), [(kind, i) for kind, v in VECTORS.items() for i in range(len(v.enough))])
def test_a_rule_that_says_enough_need_not_say_more(kind: str, i: int) -> None:
    assert tier(under(kind, replace(exact(kind), **VECTORS[kind].enough[i]))) == "affirming"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, v in VECTORS.items() for name in v.lowered])
def test_what_a_policy_accepts_may_be_worth_a_warning_to_others(kind: str, name: str) -> None:
    forged, changes, claim, value = VECTORS[kind].lowered[name]
    policy = replace(exact(kind), **changes)
    result = under(kind, policy, **forged)
    assert vector(result)[claim] == value
    assert tier(result) == ("warning" if value < 96 else "contraindicated")


def test_simulated_hardware_is_none() -> None:
    result = test_simulated.Vector().judge()
    assert result.status == TRUSTED
    assert (vector(result)["hardware"], vector(result)["runtime-opaque"]) == (97, 96)
    assert tier(result) == "contraindicated"


def test_of_stale_evidence_nothing_is_claimed() -> None:
    verified = fixed(HARDWARE[0])
    assert vector(verified.but())
    for result in (verified.but(report_data=b"\7" * 64), verified.but(now=1 << 40)):
        assert (vector(result), tier(result)) == ({}, "contraindicated")


def test_tiers_by_value() -> None:
    tiers = {0: (2, 31, -2, -32), 1: (0, 1, -1), 2: (32, 95, -33, -96), 3: (96, 127, -97, -128)}
    assert {value: rank(value) for values in tiers.values() for value in values} == {
        value: place for place, values in tiers.items() for value in values
    }
