"""Tables in the docs that are derived from the declarations of claims. `python -m tests.house.generated` writes them anew.

A table stands between two comments in its page: `<!-- NAME: python -m tests.house.generated -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from enarx.verify.claims import Claim, declared
from enarx.verify.kinds import HARDWARE, find
from enarx.verify.trust import VALUES

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "attestation"
PAGES = {"az-snp-vtpm": "azure.md", "az-tdx-vtpm": "azure-tdx.md"}
"""The pages of kinds whose page has not the kind's name."""

TYPES = {
    "bool": "boolean",
    "int": "integer",
    "str": "text",
    "tuple": "set of texts",
    "Bits": "bit mask",
    "Tcb": "TCB by product",
}


class Table(NamedTuple):
    """A table in a page: the page's name in docs/attestation, the table's name, and its lines."""

    page: str
    name: str
    lines: Callable[[], list[str]]


def tables() -> Iterator[Table]:
    yield Table("results.md", "values", values)
    for kind in HARDWARE:
        yield Table(PAGES.get(kind, f"{kind}.md"), f"claims of {kind}", partial(claims, kind))


def values() -> list[str]:
    head = ["| trustworthiness claim | passed | left open | failed |", "|---|---|---|---|"]
    return head + [f"| {name} | {v.passed} | {v.left_open or 'no claim'} | {v.failed} |" for name, v in VALUES.items()]


def claims(kind: str) -> list[str]:
    head = ["| claim | type | meaning | trustworthiness |", "|---|---|---|---|"]
    return head + [
        f"| `{claim.name}` | {type_of(claim)} | {claim.meaning} | {trustworthiness(claim)} |"
        for claim in declared(find(kind).claims()).values()
    ]


def type_of(claim: Claim) -> str:
    name = claim.value_type.__name__
    return TYPES.get(name, name)


def trustworthiness(claim: Claim) -> str:
    verb = "decides" if claim.decides else "supports"
    of_rule = [f"{verb} {claim.trustworthiness_claim}"] if claim.trustworthiness_claim else []
    return "; ".join(of_rule + [f"may lower {one.trustworthiness_claim} to {one.value}" for one in claim.lowers])


def split(table: Table) -> tuple[str, str, str]:
    """The page before the table, the table, and the page after it."""
    text = (DOCS / table.page).read_text(encoding="utf-8")
    begin, end = f"<!-- {table.name}: python -m tests.house.generated -->", f"<!-- end of {table.name} -->"
    before, found, rest = text.partition(begin)
    assert found, f"{table.page} has no table {table.name}"
    inside, found, after = rest.partition(end)
    assert found, f"{table.page}: the table {table.name} has no end"
    return before + begin, inside, end + after


def between(table: Table) -> str:
    """The table in the form that stands between the comments of the page."""
    return "\n\n" + "\n".join(table.lines()) + "\n\n"


def write() -> None:
    for table in tables():
        before, _, after = split(table)
        (DOCS / table.page).write_text(before + between(table) + after, encoding="utf-8")


if __name__ == "__main__":
    write()
