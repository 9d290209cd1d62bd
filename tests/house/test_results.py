"""The docs have the tables that are derived from the declarations of claims, and the numbers that results rest on."""

from __future__ import annotations

import pytest

from enarx.verify.ear import MAX_LIFETIME
from enarx.verify.trust import BOOT
from tests.house.generated import DOCS, Table, between, split, tables


@pytest.mark.parametrize("table", list(tables()), ids=lambda table: table.name)
def test_the_docs_have_the_table(table: Table) -> None:
    """If this fails after a change of a declaration: python -m tests.house.generated."""
    _, text, _ = split(table)
    assert text == between(table)


def test_the_docs_have_the_numbers() -> None:
    text = " ".join((DOCS / "results.md").read_text().split())
    assert f"{MAX_LIFETIME // 3600} hours" in text
    assert ", ".join(map(str, sorted(BOOT))) in text
