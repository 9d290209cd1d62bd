"""Every check of every kind, of authenticity and of appraisal, has evidence that fails it and nothing else; those of authenticity
stand in the kind's page of the docs.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from enarx.formats.evidence import HARDWARE
from enarx.verify.appraise import check_ids
from enarx.verify.policy_file import read_policy, template
from tests.verify import test_rules

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "attestation"
VERIFIERS = {
    "snp": ("snp", "CHECKS"),
    "sgx": ("dcap", "SGX_CHECKS"),
    "tdx": ("dcap", "TDX_CHECKS"),
    "nitro": ("nitro", "CHECKS"),
    "cca": ("cca", "CHECKS"),
    "tpm": ("tpm", "CHECKS"),
    "azure": ("azure", "SNP_CHECKS"),
    "azure-tdx": ("azure", "TDX_CHECKS"),
    "eventlog": ("replay", "CHECKS"),
}
"""Page of the docs, module of `enarx.verify` and of `tests.verify`, and where its ids stand."""


def checks(page: str) -> tuple[str, ...]:
    module, name = VERIFIERS[page]
    found: tuple[str, ...] = getattr(importlib.import_module(f"enarx.verify.{module}"), name)
    return found


@pytest.mark.parametrize("page", VERIFIERS)
def test_a_vector_fails_only_that_check(page: str) -> None:
    tests = importlib.import_module(f"tests.verify.test_{VERIFIERS[page][0]}")
    assert set(checks(page)) <= set(tests.ONLY)


@pytest.mark.parametrize("kind", HARDWARE)
def test_a_vector_fails_only_that_rule(kind: str) -> None:
    tried = {name.replace("_", "-") for name in test_rules.RULES[kind]} | {"endorsements-current"}
    made = set(check_ids(read_policy(template(kind), kind)))
    assert (made - tried, tried - made) == (set(), set())


@pytest.mark.parametrize("page", VERIFIERS)
def test_each_is_documented_in_order(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text()
    found = re.findall(r"^\d+\. `([a-z0-9-]+)`", text, re.MULTILINE)
    assert found == list(checks(page))
