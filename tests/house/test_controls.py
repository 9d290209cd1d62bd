"""Every test that sees evidence refused has a control that is accepted. `tests/controls.py` says why; this file proves it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enarx.errors import VerificationError
from enarx.verify.result import TRUSTED
from tests.controls import Control, accepted, watch
from tests.house.test_invariants import ROOT
from tests.verify import test_kinds
from tests.verify.kinds.simulated import test_simulated as simulated

TESTS = ROOT / "tests"
BEFORE_IT_BEGINS = 0
GOOD = simulated.EXAMINED
FRESH: dict[str, Any] = {"roots": simulated.ROOTS, "report_data": bytes(64)}

NO_VERDICT = {
    "cli/test_output.py",
    "cli/test_verdict.py",
    "fuzz/test_targets.py",
    "image/launch/test_search.py",
    "house/test_controls.py",
}
"""Test files in which evidence may be refused without a control, because no verdict is their subject."""

OWN = {"controls.py", "conftest.py", "house/test_controls.py"}

REFUSING = """
from enarx.verify.kinds.simulated.examine import examine
from tests.conftest import every_refusal_has_a_control
from tests.verify.kinds.simulated.test_simulated import EXAMINED as GOOD

def test_without_a_control():
    assert examine(**{**GOOD.inputs, "now": 0}).status == "not authentic"

def test_with_one():
    assert GOOD.but(now=0).status == "not authentic"
"""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(TESTS.rglob("*.py")):
        yield str(path.relative_to(TESTS)), ast.parse(path.read_text(encoding="utf-8"))


def test_a_test_that_sees_a_refusal_without_a_control_fails(tmp_path: Path) -> None:
    (tmp_path / "test_refusing.py").write_text(REFUSING)
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    found = subprocess.run(run, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert found.returncode == 1, found.stdout
    assert "refused without a control (tests/controls.py): not authentic (chip-validity)" in found.stdout
    assert "test_without_a_control" in found.stdout.splitlines()[-2]
    assert "2 passed, 1 error" in found.stdout


def test_every_test_is_watched(request: pytest.FixtureRequest) -> None:
    assert "every_refusal_has_a_control" in request.fixturenames


@pytest.mark.no_verdict(reason="the watch itself is the subject")
def test_every_way_to_a_refusal_is_watched() -> None:
    """Examinations and appraisals, of whatever kind, through whatever function."""
    with watch() as strays:
        simulated.examine("simulated", **{**GOOD.inputs, "now": BEFORE_IT_BEGINS})
        test_kinds.appraising(**{**test_kinds.APPRAISED.inputs, "said": test_kinds.claims(debug=True)})
        simulated.attestation_result("another", b"", (), policy=simulated.POLICY, **FRESH, now=0)
    assert strays == [
        "not authentic (chip-validity)",
        "refused (debug)",
        "refused (endorsements-current, report-data, kind)",
    ]


def test_under_control_nothing_is_amiss() -> None:
    with watch() as strays:
        assert GOOD.but(now=BEFORE_IT_BEGINS).status == "not authentic"
        assert test_kinds.APPRAISED.but().status == TRUSTED
    assert strays == []


def test_a_control_has_to_be_accepted() -> None:
    """What this is for: at a time before the certificate begins everything is refused, and so proves nothing."""
    evidence = GOOD.inputs["evidence"]
    flipped = evidence[:-1] + bytes([evidence[-1] ^ 1])
    with pytest.raises(AssertionError, match="the control is not accepted"):
        GOOD.with_(now=BEFORE_IT_BEGINS).but(evidence=flipped)
    assert GOOD.but(evidence=flipped).status == "not authentic"


def test_of_a_control_one_thing_is_changed() -> None:
    other = simulated.GOOD.but(signer=simulated.key(9)).evidence()
    with pytest.raises(AssertionError, match="evidence and now are not the control's"):
        GOOD.but(evidence=other, now=BEFORE_IT_BEGINS)
    with pytest.raises(AssertionError, match="no such input: when"):
        GOOD.but(when=0)
    with pytest.raises(AssertionError, match="evidence and roots"):
        GOOD.but(evidence=b"no report", roots=simulated.Roots())


def test_what_fails_alone_stands_in_where_nothing_is_accepted() -> None:
    late = GOOD.with_(now=BEFORE_IT_BEGINS)
    assert late.failing("chip-validity").but().status == "not authentic"
    with pytest.raises(AssertionError, match="wanted chip-identity to fail alone"):
        late.failing("chip-identity").but()


def test_what_is_accepted() -> None:
    assert accepted(GOOD.but())
    assert accepted(GOOD.but().verified())
    with pytest.raises(AssertionError, match="not the outcome of a verifier"):
        accepted("trusted")
    with pytest.raises(AssertionError, match="the control is not accepted: no: not so"):
        Control(refusing).but()


def refusing() -> object:
    raise VerificationError("no", "not so")


def test_who_may_do_without() -> None:
    marked = set()
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "no_verdict":
                marked.add(name)
    assert marked == NO_VERDICT


def test_and_says_why() -> None:
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "no_verdict":
                (reason,) = node.keywords
                assert isinstance(reason.value, ast.Constant), name
                assert len(str(reason.value.value).split()) >= 4, name


def test_nobody_gets_around_it() -> None:
    for name, tree in sources():
        if name not in OWN:
            said = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | said
            assert not named & {"_covered", "_under_control", "_accepted", "every_refusal_has_a_control"}, name
