"""Real quotes of TDX, and the results for those that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.verify import Roots
from enarx.verify.kinds.tdx.examine import examine as examine_tdx
from tests.cli.test_evidence import evidence_file
from tests.cli.test_more_evidence import verified
from tests.controls import Control
from tests.verify.kinds.tdx.real import REAL


def test_a_machine_below_every_level(evidence_dir: Path) -> None:
    """Nobody made this, so it has no counterpart that is accepted: it fails this check alone."""
    quote = evidence_file(evidence_dir, "tdx/dcap-qvl-outdated").read_bytes()
    given = (evidence_dir / "collateral/assembled/own-tdx_dcap-qvl-outdated.json").read_bytes()
    real = Control(examine_tdx, evidence=quote, endorsements=(given,), roots=Roots(), now=1_772_323_200)
    assert real.failing("tcb-level", "current-tcb-level").but().status == "not authentic"


def test_a_list_that_ended_a_second_before(more: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vector, given, at, _ = REAL.more[1]
    _, value, _ = verified(more, capsys, vector, given, at)
    (check,) = [one for one in value["checks"] if one["outcome"] == "failed"]
    assert (check["id"], check["code"]) == ("validity", "expired")
    assert check["got"] == f"{at}: expired: the revocation list of Intel SGX PCK Platform CA ended 2026-09-11T23:57:11Z"


def test_a_machine_below_every_level(more: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vector, given, at, _ = REAL.more[4]
    _, value, err = verified(more, capsys, vector, given, at)
    failed = [one for one in value["checks"] if one["outcome"] == "failed"]
    assert {one["id"] for one in failed} <= {"tcb-level", "current-tcb-level"}
    for one in failed:
        assert one["got"].startswith("SGX ")
        assert ", TDX " in one["got"]
        assert "the nearest, " in one["wanted"]
        assert " at least " in one["wanted"]
    assert "the nearest, " in err
