"""T65: a verifier leaves claims unchecked that determine what runs, and affirms the result to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.results import UP_TO_DATE, Verifier

pytestmark = pytest.mark.kinds("tdx")

REGISTERS = ("rtmr0", "rtmr1", "rtmr2", "rtmr3")


@pytest.fixture
def verifier(evidence_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verifier:
    return Verifier(evidence_dir, tmp_path, capsys, UP_TO_DATE)


def test_a_policy_that_names_the_kernel_is_affirmed(verifier: Verifier) -> None:
    found = verifier.appraisal(verifier.policy(**verifier.named(*REGISTERS)))
    assert found["ear_status"] == "affirming"
    assert found["ear_trustworthiness_vector"]["executables"] == 3


def test_any_kernel_is_not_affirmed(verifier: Verifier) -> None:
    """The starting policy accepts any kernel under the firmware, and says so; the signed result says so too."""
    found = verifier.appraisal(verifier.policy())
    assert found["ear_status"] == "warning"
    assert found["ear_trustworthiness_vector"]["executables"] == 33
    assert found["ear_trustworthiness_vector"]["configuration"] == 36


@pytest.mark.parametrize("register", REGISTERS)
def test_nor_is_one_register_left_out(verifier: Verifier, register: str) -> None:
    others = verifier.named(*(name for name in REGISTERS if name != register))
    assert verifier.appraisal(verifier.policy(**others))["ear_status"] == "warning"


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("rtmr1", '{ none_of = ["' + "11" * 48 + '"] }'),
        ("td_attributes", "{ none_of = [0x0] }"),
        ("tcb_status", '{ none_of = ["Revoked"] }'),
        ("revoked", '{ unchecked = "no list at hand" }'),
        ("debug", '{ unchecked = "no reason" }'),
        ("migratable", '{ unchecked = "no reason" }'),
        ("mr_signer_seam", '{ unchecked = "no reason" }'),
    ],
)
def test_a_rule_that_says_nothing_affirms_nothing(verifier: Verifier, field: str, rule: str) -> None:
    named = verifier.policy(**{**verifier.named(*REGISTERS), field: rule})
    assert verifier.appraisal(named)["ear_status"] == "warning"
