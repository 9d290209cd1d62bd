"""Appraisal: for every rule of every policy, evidence that is authentic and fails that rule alone (`tests/verify/vectors.py`)."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import pytest

from enarx.record import names, replace
from enarx.verify import AppraisalPolicy, AttestationResult, appraise, attestation_result, examine
from enarx.verify.kinds import HARDWARE
from enarx.verify.policy import AnyOf, Exactly, Unchecked
from enarx.verify.policy_file import read_policy, template
from enarx.verify.result import FAILED, NOT_AUTHENTIC, NOT_CHECKED, NOT_REACHED, PASSED, REFUSED, TRUSTED, UNDECIDED
from tests.controls import Control
from tests.verify.kinds import VECTORS
from tests.verify.vectors import NOW, Fixed, Given, Rows, Varies

FORGES = {kind: vectors.forge for kind, vectors in VECTORS.items()}
ENDS = {kind: vectors.ends for kind, vectors in VECTORS.items()}
RULES: dict[str, Rows] = {
    kind: vectors.rows | {"kind": Fixed(kind, next(other for other in HARDWARE if other != kind), "the caller says it")}
    for kind, vectors in VECTORS.items()
}
"""Every claim of every kind. `tests/house/test_checks.py` holds that to the policies."""

TOGETHER = {name: why for vectors in VECTORS.values() for name, why in vectors.together.items()}
"""Why a rule is left unchecked where another is tried."""

UNKNOWN = {(kind, name): made for kind, vectors in VECTORS.items() for name, made in vectors.unknown.items()}
"""What evidence may leave open: how to forge that, and what is left unchecked with it."""


@cache
def good(kind: str) -> Given:
    return FORGES[kind]()


@cache
def beginning(kind: str) -> AppraisalPolicy:
    """The policy to begin with, with the measurement put in."""
    return replace(read_policy(template(kind), kind), measurement=Exactly(RULES[kind]["measurement"].said))


@cache
def exact(kind: str) -> AppraisalPolicy:
    """Every rule is exactly what the good evidence claims."""
    rules = {name: Exactly(row.said) for name, row in RULES[kind].items() if name != "report_data"}
    return replace(beginning(kind), **rules)


def without(policy: AppraisalPolicy, *together: str) -> AppraisalPolicy:
    return replace(policy, **{name: Unchecked(reason=TOGETHER[name]) for name in together})


def verifying(given: Given, policy: AppraisalPolicy, *, kind: str, fresh: bytes, now: int) -> AttestationResult:
    """The subject of the controls here. Evidence, endorsements and roots are one input, because they belong together."""
    return attestation_result(
        kind, given.evidence, given.endorsements, policy=policy, roots=given.roots, report_data=fresh, now=now
    )


def control(
    kind: str, *, given: Given | None = None, policy: AppraisalPolicy | None = None
) -> Control[AttestationResult]:
    """Good evidence under a policy that accepts it, and nothing else."""
    return Control(
        verifying,
        kind=kind,
        given=given or good(kind),
        policy=policy or exact(kind),
        fresh=RULES[kind]["report_data"].said,
        now=NOW,
    )


def verdict_on(kind: str, given: Given, policy: AppraisalPolicy) -> AttestationResult:
    """The verdict on other evidence under a policy that accepts the good, or on the good under another policy."""
    if given is good(kind):
        return control(kind).but(policy=policy)
    return control(kind, policy=policy).but(given=given)


def fixed(kind: str, given: Given | None = None) -> Control[AttestationResult]:
    """Evidence that has been verified once, and is appraised by what a test says."""
    given = given or good(kind)
    verified = examine(kind, given.evidence, given.endorsements, roots=given.roots, now=NOW).verified()
    fresh = RULES[kind]["report_data"].said
    return Control(partial(appraise, verified), policy=exact(kind), report_data=fresh, now=NOW)


def ids(result: AttestationResult, outcome: str) -> set[str]:
    return {check.id for check in result.checks if check.outcome == outcome}


def id_of(name: str) -> str:
    return name.replace("_", "-")


def cases(form: type[Varies | Fixed]) -> list[Any]:
    found = [(kind, name) for kind, rows in RULES.items() for name, row in rows.items() if isinstance(row, form)]
    return [pytest.param(*one, id="-".join(one)) for one in found]


def refused_for_this_alone(kind: str, name: str, policy: AppraisalPolicy) -> None:
    """The policy trusts the good evidence, and refuses another that is as authentic, for this and nothing else."""
    row: Any = RULES[kind][name]
    policy = without(policy, *row.together)
    assert verdict_on(kind, good(kind), policy).status == TRUSTED
    result = verdict_on(kind, FORGES[kind](**row.changes), policy)
    assert (result.status, ids(result, FAILED)) == (REFUSED, {id_of(name)})
    assert not ids(result, NOT_CHECKED) | ids(result, NOT_REACHED)


@pytest.mark.parametrize(("kind", "name"), cases(Varies))
def test_evidence_fails_this_rule_alone(kind: str, name: str) -> None:
    refused_for_this_alone(kind, name, exact(kind))


@pytest.mark.parametrize(("kind", "name"), cases(Varies))
def test_the_policy_to_begin_with_has_the_rules_that_it_should(kind: str, name: str) -> None:
    if name in VECTORS[kind].beginning - VECTORS[kind].wide.keys() | {"measurement", "report_data"}:
        refused_for_this_alone(kind, name, beginning(kind))
    else:
        row: Any = RULES[kind][name]
        policy = without(beginning(kind), *row.together)
        assert verdict_on(kind, FORGES[kind](**row.changes), policy).status == TRUSTED


@pytest.mark.parametrize("kind", RULES)
def test_and_no_others(kind: str) -> None:
    policy = beginning(kind)
    rules = {name for name in names(policy) if type(getattr(policy, name)) is not Unchecked}
    assert rules == VECTORS[kind].beginning | {"kind", "measurement"}


@pytest.mark.parametrize(("kind", "name"), cases(Fixed))
def test_a_rule_for_what_no_evidence_has_refuses_all(kind: str, name: str) -> None:
    row: Any = RULES[kind][name]
    result = fixed(kind).but(policy=replace(exact(kind), **{name: Exactly(row.other)}))
    assert (result.status, ids(result, FAILED)) == (REFUSED, {id_of(name)})
    assert {check.outcome for check in result.checks if check.id != id_of(name)} == {PASSED}


@pytest.mark.parametrize("kind", RULES)
def test_the_policy_to_begin_with_lacks_a_measurement_and_nothing_else(kind: str) -> None:
    result = control(kind, policy=beginning(kind)).but(policy=read_policy(template(kind), kind))
    assert (result.status, ids(result, FAILED)) == (REFUSED, {"measurement"})


@pytest.mark.parametrize("kind", RULES)
def test_of_a_kind_that_is_not_accepted_nothing_is_read(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row: Any = RULES[kind]["kind"]
    accepting = control(kind)
    assert accepting.but().status == TRUSTED
    monkeypatch.setattr("enarx.verify.examine", lambda *_, **__: pytest.fail("it was read"))
    result = accepting.but(policy=replace(exact(kind), kind=Exactly(row.other)))
    assert (result.status, ids(result, FAILED), ids(result, PASSED)) == (REFUSED, {"kind"}, set())


@pytest.mark.parametrize("kind", RULES)
def test_endorsements_that_have_ended_fail_alone(kind: str) -> None:
    until, verified = ENDS[kind], fixed(kind)
    assert verified.but().expires == until
    assert verified.but(now=(until or 1 << 60) - 1).status == TRUSTED
    if until is not None:
        for late in (until, until + 1):
            result = verified.but(now=late)
            assert (result.status, ids(result, FAILED)) == (REFUSED, {"endorsements-current"})


@pytest.mark.parametrize(("kind", "name"), UNKNOWN, ids="-".join)
def test_what_is_not_known_is_undecided(kind: str, name: str) -> None:
    changes, together = UNKNOWN[kind, name]
    others = without(exact(kind), *(other for other in together if other != name))
    result = verdict_on(kind, FORGES[kind](**changes), others)
    rules = result.checks[-len(others.rules) :]
    assert (result.status, ids(result, FAILED)) == (UNDECIDED, set())
    assert {check.id for check in rules if check.outcome == NOT_CHECKED} == {id_of(name)}
    left = replace(others, **{name: Unchecked(reason="it is not known")})
    assert verdict_on(kind, FORGES[kind](**changes), left).status == TRUSTED


@pytest.mark.parametrize("kind", [kind for kind, vectors in VECTORS.items() if vectors.revoked])
def test_what_is_revoked_does_not_get_as_far_as_a_rule(kind: str) -> None:
    revoked = VECTORS[kind].revoked
    assert revoked is not None
    changes, failed = revoked
    policy = replace(exact(kind), revoked=AnyOf((False, True)))
    result = verdict_on(kind, FORGES[kind](**changes), policy)
    assert (result.status, ids(result, FAILED)) == (NOT_AUTHENTIC, {failed})
    assert "revoked" in ids(result, NOT_REACHED)
