"""T67: a lenient policy accepts a machine with known weaknesses, and the result affirms it to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.results import BEHIND, DEBUGGED, UP_TO_DATE, Vector, Verifier

ALL = ("rtmr0", "rtmr1", "rtmr2", "rtmr3")


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize(
    ("vector", "rules", "claim", "value", "status"),
    [
        (UP_TO_DATE, {}, "hardware", 2, "affirming"),
        (
            BEHIND,
            dict.fromkeys(("tcb_status", "current_tcb_status"), '{ any_of = ["UpToDate", "OutOfDate"] }'),
            "hardware",
            32,
            "warning",
        ),
        (DEBUGGED, {"debug": "{ any_of = [true, false] }"}, "runtime-opaque", 96, "contraindicated"),
    ],
    ids=["up to date", "behind", "debugged"],
)
def test_others_are_told_what_it_is(
    evidence_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    vector: Vector,
    rules: dict[str, str],
    claim: str,
    value: int,
    status: str,
) -> None:
    verifier = Verifier(evidence_dir, tmp_path, capsys, vector)
    loose = verifier.named(*ALL, "td_attributes", "sept_ve_disable", "tcb_status", "mr_signer_seam")
    found = verifier.appraisal(verifier.policy(**{**loose, **rules}))
    assert (found["ear_trustworthiness_vector"][claim], found["ear_status"]) == (value, status)
