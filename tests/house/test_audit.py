"""docs/audit.md lists every file that a Keep is measured from, and its caps are those that the tests hold."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from enarx.image.contents import DISTRIBUTIONS, files
from tests.house.test_invariants import CAPS, ROOT, lines_of_code, lines_of_profiles

TEXT = (ROOT / "docs" / "audit.md").read_text()
NEAR = 20
"""Lines that a count may be off: changes of this size need not touch the document."""


def counted() -> dict[str, int]:
    """The code lines of each of our files in a Keep; those without code need no row."""
    own = files((str(ROOT / "src"), *sys.path))
    lines = {n.removeprefix("enarx/"): lines_of_code(Path(p)) for n, p in own.items() if n.startswith("enarx/")}
    return {name: count for name, count in lines.items() if count}


def rows() -> dict[str, int]:
    """The table's counts, by file."""
    return {name: int(count) for count, name in re.findall(r"^\| (\d+) \| `([\w/]+\.py)` \|", TEXT, re.MULTILINE)}


def test_every_file_of_a_keep_has_a_row_and_every_row_a_file() -> None:
    assert sorted(rows()) == sorted(counted())


def test_a_file_is_listed_once() -> None:
    assert len(re.findall(r"^\| \d+ \| `", TEXT, re.MULTILINE)) == len(rows())


def test_counts_are_near() -> None:
    actual = counted()
    far = {name: (count, actual[name]) for name, count in rows().items() if abs(count - actual[name]) > NEAR}
    assert far == {}, "written and counted"


@pytest.mark.parametrize("profile", CAPS)
def test_the_caps_are_the_pinned_ones_and_the_totals_are_near(profile: str) -> None:
    ((cap, total),) = re.findall(rf"^\| {profile} \| .*? \| (\d+) \| (\d+) \|$", TEXT, re.MULTILINE)
    assert int(cap) == CAPS[profile]
    assert abs(int(total) - lines_of_profiles()[profile]) <= NEAR * 5
    assert int(total) <= CAPS[profile]


def test_dependencies_are_all_named() -> None:
    section = TEXT[TEXT.index("## Dependencies") :]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(DISTRIBUTIONS)


def test_threats_that_it_names_exist() -> None:
    model = (ROOT / "docs" / "threat-model.md").read_text()
    named = set(re.findall(r"\bT\d+\b", TEXT))
    assert named <= set(re.findall(r"^\| (T\d+) \|", model, re.MULTILINE))


def test_profiles_that_it_names_are_the_sandboxes() -> None:
    from enarx.keep import sandbox

    named = set(re.findall(r"`([A-Z_]{4,})`", TEXT))
    assert named == {name for name in sandbox.__all__ if isinstance(getattr(sandbox, name), sandbox.Profile)}
