"""T68: a result of another exchange or policy, or a token of another kind, is presented as this result."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from enarx.verify.policy_file import read_policy
from tests.attacks.results import UP_TO_DATE, Verifier

pytestmark = pytest.mark.kinds("tdx")


@pytest.fixture
def verifier(evidence_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verifier:
    return Verifier(evidence_dir, tmp_path, capsys, UP_TO_DATE)


def test_it_says_which_exchange_it_is_of(verifier: Verifier) -> None:
    _, claims = verifier.result(verifier.policy())
    assert base64.urlsafe_b64decode(claims["eat_nonce"] + "==").hex() == verifier.claims["report_data"]


def test_it_says_under_which_policy(verifier: Verifier) -> None:
    strict, loose = verifier.policy(**verifier.named("rtmr1")), verifier.policy()
    ids = []
    for path in (strict, loose):
        (found,) = verifier.appraisal(path)["ear_appraisal_policy_ids"]
        assert found == read_policy(Path(path).read_text(), path).id
        ids.append(found)
    assert ids[0] != ids[1]


def test_it_says_that_it_is_a_result(verifier: Verifier) -> None:
    header, claims = verifier.result(verifier.policy())
    assert header == {"alg": "ES256", "typ": "eat+jwt"}
    assert claims["eat_profile"] == "tag:ietf.org,2026:rats/ear#03"
