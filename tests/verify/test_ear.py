"""A result as an EAT attestation result: its form is the draft's, and it claims no more than was checked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enarx.record import replace
from enarx.verify import AttestationResult, Roots, examine, unappraised
from enarx.verify.claims import INSTANCE, declared
from enarx.verify.ear import PROFILE, ear
from enarx.verify.kinds import HARDWARE, find
from enarx.verify.policy import AnyOf, AtLeast, NoneOf, Unchecked
from enarx.verify.result import AUTHENTIC, NOT_AUTHENTIC, REFUSED, TRUSTED, UNDECIDED
from enarx.verify.trust import TIERS, rank
from tests.verify import ear_form
from tests.verify.kinds.simulated import test_simulated
from tests.verify.test_rules import FORGES, RULES, UNKNOWN, beginning, control, exact, good, verdict_on, without
from tests.verify.vectors import NOW, Varies

Json = dict[str, Any]
KIND = HARDWARE[0]
"""A kind for tests that work with any."""

UNDECIDABLE = next(
    (kind, name)
    for kind, name in UNKNOWN
    if (claim := declared(find(kind).claims())[name]).decides and claim.trustworthiness_claim != INSTANCE
)
"""A claim that evidence may leave open, and that decides what others are told."""


def appraisal(value: Json) -> Json:
    ((_, found),) = value["submods"].items()
    assert isinstance(found, dict)
    return found


def not_authentic() -> AttestationResult:
    return verdict_on(KIND, good(KIND)._replace(roots=Roots()), exact(KIND))


def authentic() -> AttestationResult:
    given = good(KIND)
    return unappraised(examine(KIND, given.evidence, given.endorsements, roots=given.roots, now=NOW).verified())


def undecided() -> AttestationResult:
    changes, together = UNKNOWN[UNDECIDABLE]
    kind, name = UNDECIDABLE
    return verdict_on(
        kind, FORGES[kind](**changes), without(exact(kind), *(other for other in together if other != name))
    )


def other(name: str) -> AttestationResult:
    """The result for evidence that claims something else there."""
    row = RULES[KIND][name]
    assert isinstance(row, Varies)
    return verdict_on(KIND, FORGES[KIND](**row.changes), exact(KIND))


def refused() -> AttestationResult:
    return other("measurement")


def stale() -> AttestationResult:
    return other("report_data")


def unread() -> AttestationResult:
    return control(HARDWARE[1]).but(policy=exact(KIND))


RESULTS: dict[str, tuple[Callable[[], AttestationResult], str, str]] = {
    **{
        f"trusted {kind}": (lambda kind=kind: verdict_on(kind, good(kind), exact(kind)), TRUSTED, "affirming")
        for kind in HARDWARE
    },  # type: ignore[misc]
    "simulated": (test_simulated.Vector().judge, TRUSTED, "contraindicated"),
    "not authentic": (not_authentic, NOT_AUTHENTIC, "contraindicated"),
    "authentic": (authentic, AUTHENTIC, "none"),
    "undecided": (undecided, UNDECIDED, "warning"),
    "refused": (refused, REFUSED, "contraindicated"),
    "stale": (stale, REFUSED, "contraindicated"),
    "unread": (unread, REFUSED, "contraindicated"),
}
"""A result of every sort, its status, and the tier that it is for others."""


@pytest.mark.parametrize("name", RESULTS)
def test_the_form_is_that_of_the_draft(name: str) -> None:
    make, status, tier = RESULTS[name]
    result = make()
    value = json.loads(json.dumps(ear(result, build="enarx 1")))
    assert (result.status, ear_form.wrong(value)) == (status, [])
    assert appraisal(value)["ear_status"] == tier
    assert (value["eat_profile"], value["iat"]) == (PROFILE, result.at) == (ear_form.PROFILE, result.at)
    assert value["ear_verifier_id"] == {"developer": "enarx", "build": "enarx 1"}


@pytest.mark.parametrize("name", RESULTS)
def test_no_status_is_better_than_the_worst_claim(name: str) -> None:
    """draft-ietf-rats-ear, 3.1."""
    found = appraisal(ear(RESULTS[name][0](), build=""))
    worst = max(map(rank, found.get("ear_trustworthiness_vector", {}).values()), default=0)
    assert TIERS.index(found["ear_status"]) >= worst


def test_the_drafts_examples_have_that_form_and_older_ones_do_not(ear_dir: Path) -> None:
    """The grammar is right: it accepts what the authors show, and tells what they have left behind."""
    examples = sorted(ear_dir.glob("draft-*json*.diag"))
    assert len(examples) == 5
    for path in examples:
        assert ear_form.wrong(json.loads(path.read_text())) == [], path
    older = [*ear_dir.glob("veraison-ear-claims*.json"), ear_dir / "trustee-example.token.json"]
    assert len(older) >= 6
    for path in older:
        assert "no ear_verifier_id" in ear_form.wrong(json.loads(path.read_text())), path


BROKEN: dict[str, Callable[[Json], object]] = {
    "another profile": lambda v: v.update(eat_profile="tag:ietf.org,2026:rats/ear#01"),
    "no time": lambda v: v.pop("iat"),
    "a time that is no integer": lambda v: v.update(iat=1.5),
    "an end that is none": lambda v: v.update(exp=None),
    "no verifier": lambda v: v.pop("ear_verifier_id"),
    "half a verifier": lambda v: v["ear_verifier_id"].pop("build"),
    "no submodule": lambda v: v.update(submods={}),
    "a short nonce": lambda v: v.update(eat_nonce="1234567"),
    "a long nonce": lambda v: v.update(eat_nonce="1" * 89),
    "evidence in base64": lambda v: v.update(ear_raw_evidence="+/=="),
    "the status of old": lambda v: appraisal(v).update({"ear.status": "affirming"}),
    "no status": lambda v: appraisal(v).pop("ear_status"),
    "a status as number": lambda v: appraisal(v).update(ear_status=2),
    "an empty vector": lambda v: appraisal(v).update(ear_trustworthiness_vector={}),
    "a claim that is none": lambda v: appraisal(v)["ear_trustworthiness_vector"].update(kernel=2),
    "a claim out of range": lambda v: appraisal(v)["ear_trustworthiness_vector"].update(hardware=128),
    "one policy": lambda v: appraisal(v).update(ear_appraisal_policy_ids="urn:1"),
    "no policies": lambda v: appraisal(v).update(ear_appraisal_policy_ids=[]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_grammar_refuses_what_it_should(name: str) -> None:
    value = ear(verdict_on(KIND, good(KIND), exact(KIND)), build="")
    assert ear_form.wrong(value) == []
    BROKEN[name](value)
    assert ear_form.wrong(value)
    assert ear_form.wrong([])


def test_the_nonce_is_the_fresh_data_that_the_evidence_carries() -> None:
    value = ear(verdict_on(KIND, good(KIND), exact(KIND)), build="")
    assert base64.urlsafe_b64decode(value["eat_nonce"] + "==") == RULES[KIND]["report_data"].said
    for result in (stale(), not_authentic(), authentic(), unread()):
        assert "eat_nonce" not in ear(result, build="")


def test_policies_are_named_by_what_they_say() -> None:
    def named(**changes: Any) -> str:
        policy = replace(exact(KIND), **changes)
        result = verdict_on(KIND, good(KIND), policy)
        assert result.to_value()["policy"] == policy.id
        (found,) = appraisal(ear(result, build=""))["ear_appraisal_policy_ids"]
        assert isinstance(found, str)
        return found

    names = [
        named(),
        named(svn=AtLeast(0)),
        named(svn=AnyOf((0,))),
        named(svn=AnyOf((0, 1))),
        named(svn=NoneOf((9,))),
        named(svn=Unchecked(reason="a")),
        named(svn=Unchecked(reason="b")),
    ]
    assert len(set(names)) == len(names)
    assert named() == names[0]
    assert names[0].startswith("ni:///sha-256;")
    ids = [exact(kind).id for kind in HARDWARE]
    assert len(set(ids)) == len(ids)


def test_a_policy_that_is_not_there_is_not_named() -> None:
    found = appraisal(ear(authentic(), build=""))
    assert "ear_appraisal_policy_ids" not in found
    assert authentic().to_value()["policy"] is None


def test_what_is_not_authentic_is_a_failure_of_cryptography() -> None:
    found = appraisal(ear(not_authentic(), build=""))
    assert set(found["ear_trustworthiness_vector"].values()) == {99}
    assert "ear_enarx_claims" not in found


@pytest.mark.parametrize("make", [authentic, stale, unread])
def test_nothing_is_claimed_of_what_was_not_appraised_or_is_not_fresh(make: Callable[[], AttestationResult]) -> None:
    assert "ear_trustworthiness_vector" not in appraisal(ear(make(), build=""))


def test_checks_and_claims_come_along() -> None:
    result = verdict_on(KIND, good(KIND), beginning(KIND))
    found = appraisal(ear(result, build=""))
    assert found["ear_enarx_claims"] == result.to_value()["claims"]
    assert [check["id"] for check in found["ear_enarx_checks"]] == [check.id for check in result.checks]
