"""Every check of every kind, of authenticity and of appraisal, has evidence that fails it and nothing else; those of authenticity
stand in the kind's page of the docs.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from enarx.verify.appraise import check_ids
from enarx.verify.kinds import HARDWARE
from enarx.verify.policy_file import read_policy, template
from tests.verify import test_rules

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "attestation"
VERIFIERS = {
    "snp": ("kinds.snp.examine", "snp"),
    "sgx": ("kinds.sgx.examine", "dcap"),
    "tdx": ("kinds.tdx.examine", "dcap"),
    "nitro": ("kinds.nitro.examine", "nitro"),
    "cca": ("kinds.cca.examine", "cca"),
    "tpm": ("kinds.tpm.examine", "tpm"),
    "azure": ("kinds.az_snp_vtpm.examine", "azure"),
    "azure-tdx": ("kinds.az_tdx_vtpm.examine", "azure"),
    "eventlog": ("replay", "replay"),
}
"""Page of the docs, module of `enarx.verify` that has the ids as CHECKS, and of `tests.verify`."""


def checks(page: str) -> tuple[str, ...]:
    found: tuple[str, ...] = importlib.import_module(f"enarx.verify.{VERIFIERS[page][0]}").CHECKS
    return found


@pytest.mark.parametrize("page", VERIFIERS)
def test_a_vector_fails_only_that_check(page: str) -> None:
    tests = importlib.import_module(f"tests.verify.test_{VERIFIERS[page][1]}")
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
