"""T66: a result is used after its basis expired, or is signed late so that it lasts longer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enarx.verify.ear import MAX_LIFETIME
from tests.attacks.results import UP_TO_DATE, Verifier, rfc3339, seconds

pytestmark = pytest.mark.kinds("tdx")


@pytest.fixture
def verifier(evidence_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verifier:
    return Verifier(evidence_dir, tmp_path, capsys, UP_TO_DATE)


def test_no_verdict_from_its_own_expiry_on(verifier: Verifier) -> None:
    verdict = verifier.command(verifier.policy(), "--json")
    value = json.loads(verdict.but().out)
    expires = value["expires"]
    assert value["at"] == seconds(UP_TO_DATE.at) < expires
    assert value["ends_first"]
    assert verdict.but(at=["--at", rfc3339(expires - 1)]).code == 0
    for late in (expires, expires + 1, expires + 10**8):
        ran = verdict.but(at=["--at", rfc3339(late)])
        assert ran.code == 126
        assert json.loads(ran.out)["status"] in ("refused", "not authentic")


def test_signed_months_later_it_is_no_younger(verifier: Verifier) -> None:
    """The signer's clock does not matter: the result is for the time that was asked about."""
    _, claims = verifier.result(verifier.policy())
    assert claims["iat"] == seconds(UP_TO_DATE.at)
    assert claims["iat"] < claims["exp"] <= claims["iat"] + MAX_LIFETIME


def test_it_ends_with_what_it_rests_on(verifier: Verifier) -> None:
    policy = verifier.policy()
    expires = json.loads(verifier.command(policy, "--json").but().out)["expires"]
    verifier.at = rfc3339(expires - 60)
    assert verifier.result(policy)[1]["exp"] == expires
