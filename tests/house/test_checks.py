"""Every check of every kind, of authenticity and of appraisal, has evidence that fails it and nothing else; those of authenticity
stand in the kind's page of the docs.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from enarx.verify.appraise import check_ids
from enarx.verify.kinds import HARDWARE
from enarx.verify.policy_file import read_policy, template
from tests.verify import test_rules

ROOT = Path(__file__).resolve().parent.parent.parent
VERIFIERS = {
    **{
        f"kinds.{folder}.examine": f"kinds.{folder}.test_{folder}"
        for folder in (kind.replace("-", "_") for kind in HARDWARE)
    },
    "replay": "test_replay",
}
"""Modules of `enarx.verify` that make checks (CHECKS, WHERE), and of `tests.verify` that have vectors for them (ONLY)."""


def module(verifier: str) -> Any:
    return importlib.import_module(f"enarx.verify.{verifier}")


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_vector_fails_only_that_check(verifier: str) -> None:
    tests = importlib.import_module(f"tests.verify.{VERIFIERS[verifier]}")
    assert set(module(verifier).CHECKS) <= set(tests.ONLY)


@pytest.mark.parametrize("kind", HARDWARE)
def test_a_vector_fails_only_that_rule(kind: str) -> None:
    tried = {name.replace("_", "-") for name in test_rules.RULES[kind]} | {"endorsements-current"}
    made = set(check_ids(read_policy(template(kind), kind)))
    assert (made - tried, tried - made) == (set(), set())


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_each_is_documented_in_order(verifier: str) -> None:
    text = (ROOT / module(verifier).WHERE).read_text()
    found = re.findall(r"^\d+\. `([a-z0-9-]+)`", text, re.MULTILINE)
    assert found == list(module(verifier).CHECKS)
