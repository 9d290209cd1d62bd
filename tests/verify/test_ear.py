"""A result as an EAT attestation result."""

from __future__ import annotations

from enarx.formats.evidence import HARDWARE
from enarx.verify.appraise import unappraised, unverified
from enarx.verify.ear import _VECTOR, PROFILE, ear
from enarx.verify.policy_file import read_policy, template
from tests.verify.test_kinds import appraised, claims, examined


def only(value: dict[str, object]) -> dict[str, object]:
    submods = value["submods"]
    assert isinstance(submods, dict)
    found = submods["snp"]
    assert isinstance(found, dict)
    return found


def test_trusted_is_affirming_until_the_endorsements_end() -> None:
    value = ear(appraised(claims()), now=50, build="enarx 1")
    assert (value["eat_profile"], value["iat"], value["exp"]) == (PROFILE, 50, 100)
    vector = {"executables": 2, "configuration": 2, "hardware": 2, "runtime-opaque": 2}
    assert (only(value)["ear.status"], only(value)["ear.trustworthiness-vector"]) == ("affirming", vector)
    assert only(value)["ear.enarx.claims"] == appraised(claims()).to_value()["claims"]


def test_what_is_not_checked_is_not_in_the_vector() -> None:
    assert "instance-identity" not in str(ear(appraised(claims()), now=50, build=""))


def test_refused_says_in_which_respect() -> None:
    found = only(ear(appraised(claims(debug=True, measurement=b"\0" * 48)), now=50, build=""))
    assert found["ear.status"] == "contraindicated"
    assert found["ear.trustworthiness-vector"] == {
        "executables": 33,
        "configuration": 2,
        "hardware": 2,
        "runtime-opaque": 32,
    }


def test_not_authentic_is_a_failure_of_cryptography() -> None:
    value = ear(unverified(examined(claims(), chain=False)), now=50, build="")
    found = only(value)
    assert found["ear.status"] == "contraindicated"
    assert set(found["ear.trustworthiness-vector"].values()) == {99}  # type: ignore[attr-defined]
    assert "exp" not in value
    assert "ear.enarx.claims" not in found


def test_authentic_alone_affirms_nothing() -> None:
    found = only(ear(unappraised(examined(claims()).verified()), now=50, build=""))
    assert (found["ear.status"], found["ear.trustworthiness-vector"]) == ("none", {})


def test_every_check_that_the_vector_speaks_of_is_one_of_some_kind() -> None:
    known = {id for kind in HARDWARE for id in read_policy(template(kind), kind).rules.ids}
    assert {id for ids, _, _ in _VECTOR.values() for id in ids} <= known
