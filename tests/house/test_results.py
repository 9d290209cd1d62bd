"""What results say to others of each rule: every rule of every policy has its place in the table, and the docs have the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.record import names
from enarx.verify.ear import MAX_LIFETIME
from enarx.verify.kinds import KINDS, find
from enarx.verify.policy_file import policy_type
from enarx.verify.trust import BOOT, FACTS, VALUES

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "attestation" / "results.md"


def values() -> list[str]:
    """What each claim of the vector is worth."""
    return [f"| {claim} | {v.passed} | {v.left_open or 'no claim'} | {v.failed} |" for claim, v in VALUES.items()]


def rules() -> list[str]:
    """Of each kind and each claim the rules that decide it, and the others."""

    def ids(kind: str, claim: str, *, decide: bool) -> str:
        found = [
            f"`{id}`" for id, says in find(kind).trust().rules.items() if (says.claim, says.decides) == (claim, decide)
        ]
        return ", ".join(found)

    claims = (*VALUES, "")
    return [
        f"| {kind} | {claim or 'none'} | {deciding} | {others} |"
        for kind in KINDS
        for claim in claims
        if (deciding := ids(kind, claim, decide=True)) + (others := ids(kind, claim, decide=False))
    ]


def facts() -> list[str]:
    """What evidence says that no policy makes good."""
    return [f"| `{fact.name}` | {fact.claim} | {fact.value} |" for fact in FACTS]


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_of_every_policy_has_a_place(kind: str) -> None:
    assert set(find(kind).trust().rules) == {name.replace("_", "-") for name in names(policy_type(kind))}


@pytest.mark.parametrize("rows", [values, rules, facts])
def test_the_docs_have_the_table(rows: object) -> None:
    """Where this fails after a change, the table between these lines is what the page has to say."""
    assert callable(rows)
    assert "\n".join(rows()) in PAGE.read_text()


def test_the_docs_have_the_numbers() -> None:
    text = " ".join(PAGE.read_text().split())
    assert f"{MAX_LIFETIME // 3600} hours" in text
    assert ", ".join(map(str, sorted(BOOT))) in text
