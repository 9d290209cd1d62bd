"""The launch measurements are pure; only their own command loads them, and a Keep does not contain them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from enarx.api.local_host import code_paths
from enarx.image.contents import files
from tests.house.test_invariants import SRC, WORLD, imports, modules, parsed
from tests.house.test_zones import CHANCE, PURE_STDLIB, called, first

ENGINES = [path for path in modules() if path.parent == SRC / "image" / "launch"]
MAX_LINES = 250


def test_there_are_engines() -> None:
    assert len(ENGINES) > 10


@pytest.mark.parametrize("path", ENGINES, ids=lambda p: p.name)
def test_engines_only_compute(path: Path) -> None:
    tree = parsed(path)
    used = first(imports(tree)) & set(sys.stdlib_module_names)
    assert used <= PURE_STDLIB
    assert not used & WORLD
    assert not called(tree) & (CHANCE | {"open", "print", "input", "eval", "exec"})
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_what_is_not_pure_is_found() -> None:
    assert first(imports(ast.parse("import os"))) & WORLD


def test_no_keep_holds_them() -> None:
    assert not [name for name in files(tuple(code_paths())) if "/launch" in name or name.startswith("enarx/image")]


@pytest.mark.parametrize(
    "module", ["attestation", "session", "workload", "remote", "evidence", "endorsements", "commands.platform"]
)
def test_other_commands_do_not_load_them(module: str) -> None:
    code = f"import sys, enarx.cli.main, enarx.cli.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("enarx.image.launch", "enarx.formats.launch"))]
