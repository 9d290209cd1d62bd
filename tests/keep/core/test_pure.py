"""The core computes and does nothing else: no I/O, clock or randomness, and no knowledge of any driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.test_invariants import SRC, WORLD, imports, parsed
from tests.house.test_zones import CHANCE, PURE_STDLIB, called, first

MODULES = sorted((SRC / "keep" / "core").glob("*.py"))
OURS = ("enarx.delivery", "enarx.errors", "enarx.formats", "enarx.keep.core", "enarx.record")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.name)
def test_imports(path: Path) -> None:
    names = set(imports(parsed(path)))
    assert not first(iter(names)) & WORLD
    assert first(iter(names)) <= PURE_STDLIB | {"enarx"}
    assert all(name.startswith(OURS) for name in names if name.startswith("enarx"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.name)
def test_calls(path: Path) -> None:
    assert not called(parsed(path)) & CHANCE
    assert not called(parsed(path)) & {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}


def test_all_modules_are_looked_at() -> None:
    assert len(MODULES) >= 6
