"""A kind of TEE is its two folders and one line in the registry: without them everything else still works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from enarx.errors import UsageError
from enarx.verify import Roots
from enarx.verify.families import amd
from enarx.verify.kinds import HARDWARE, KINDS, find
from enarx.verify.roots import PIN
from tests.verify.test_rules import good

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("src/enarx/formats/evidence", "src/enarx/verify/kinds", "tests/formats/evidence", "tests/verify/kinds")
DELETED = {"nitro": ("nitro",), "snp": ("snp", "az-snp-vtpm")}
"""A kind that nothing is composed of, and one together with the kind that is composed of it."""

SHARED_TESTS = (
    "tests/verify/test_detect.py",
    "tests/verify/test_ear.py",
    "tests/verify/test_policy.py",
    "tests/verify/test_policy_file.py",
    "tests/verify/test_rules.py",
    "tests/house/test_checks.py",
    "tests/house/test_results.py",
    "tests/cli/test_evidence.py",
)
"""Run without the kind: every test that goes through all registered kinds, but those that only repeat these rule by rule or
vector by vector (test_trust.py, test_expiry.py). The tests of the other kinds are collected: none imports what was deleted."""

COMPOSED = {kind: (kind, *(other for other in HARDWARE if kind in find(other).parts)) for kind in HARDWARE}
"""Each kind, with the kinds that are composed of it."""

OUTSIDE = ("tests/attacks/test_t64_ambiguous_extensions.py", "tests/cli/test_event_logs.py", "tests/cli/test_output.py")
"""Tests outside the kinds' folders that need some of the kinds, and skip without them."""

COLLECTED = ("tests",)


def folder(kind: str) -> str:
    return kind.replace("-", "_")


def without(tree: Path, kinds: tuple[str, ...]) -> None:
    """Copy what the tests need, and delete the folders and the line of each kind."""
    for name in ("src", "tests", "docs", "bench", "examples"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.toml"), *ROOT.glob("*.md"), *ROOT.glob("*.txt"), ROOT / "Makefile"):
        shutil.copy(path, tree / path.name)
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (tree.parent / "shared").symlink_to(shared.resolve())
    registry = tree / "src" / "enarx" / "verify" / "kinds" / "__init__.py"
    for kind in kinds:
        for above in FOLDERS:
            shutil.rmtree(tree / above / folder(kind), ignore_errors=True)
        lines = registry.read_text(encoding="utf-8").splitlines(keepends=True)
        assert lines.count(f'    "{kind}",\n') == 1, "a kind is one line of the registry"
        registry.write_text("".join(line for line in lines if line != f'    "{kind}",\n'), encoding="utf-8")


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [name for name in DELETED if set(DELETED[name]) <= set(HARDWARE)])
def test_a_kind_is_deleted_by_its_folders_and_its_line(tmp_path: Path, name: str) -> None:
    tree = tmp_path / "tree"
    without(tree, DELETED[name])
    code = f"import enarx.verify.kinds as k; assert k.__file__.startswith({str(tree)!r}); print(*k.KINDS)"
    environment = os.environ | {"PYTHONPATH": str(tree / "src")}
    left = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert set(left.stdout.split()) == set(KINDS) - set(DELETED[name])
    collected = run(tree, "--collect-only", *COLLECTED)
    assert collected.returncode == 0, collected.stdout[-2000:]
    ran = run(tree, "-x", *SHARED_TESTS)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert re.search(r"^\d{3,} passed", ran.stdout, re.MULTILINE), ran.stdout[-200:]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [kind for kind in HARDWARE if kind not in DELETED and not find(kind).parts])
def test_each_kind_can_be_deleted(tmp_path: Path, kind: str) -> None:
    """As above, with few tests: what is left can be imported, detected and documented. Composed kinds go with their parts."""
    tree = tmp_path / "tree"
    without(tree, COMPOSED[kind])
    collected = run(tree, "--collect-only", *COLLECTED)
    assert collected.returncode == 0, collected.stdout[-2000:]
    ran = run(
        tree, "-x", "tests/verify/test_detect.py", "tests/house/test_checks.py", "tests/house/test_results.py", *OUTSIDE
    )
    assert ran.returncode == 0, ran.stdout[-4000:]


def test_a_kind_left_half_deleted_is_noticed(tmp_path: Path) -> None:
    """The control of the test above: a line without its folder."""
    without(tmp_path / "tree", ())
    shutil.rmtree(tmp_path / "tree" / "src" / "enarx" / "verify" / "kinds" / folder(HARDWARE[0]))
    found = run(tmp_path / "tree", "-x", "tests/verify/test_detect.py")
    assert found.returncode != 0


@pytest.mark.parametrize("above", FOLDERS[:2])
def test_every_folder_is_registered(above: str) -> None:
    found = {path.parent.name for path in (ROOT / above).glob("*/__init__.py")} - {"families"}
    assert found == {folder(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_says_what_is_asked_of_it(kind: str) -> None:
    found = find(kind)
    assert found.name == kind
    assert callable(found.examiner())
    assert found.claims().__claims__["kind"].suggest.value == kind  # type: ignore[attr-defined]
    assert (found.request is None) is bool(found.unendorsed), "it says what to fetch, or why nothing is"
    assert set(found.parts) <= set(KINDS) - {kind}


@pytest.mark.parametrize("kind", KINDS)
def test_loading_a_kind_loads_none_of_its_work(kind: str) -> None:
    code = (
        f"import sys; from enarx.verify.kinds import find; find({kind!r}); "
        "print(*(m for m in sys.modules if m.startswith('cryptography') or m.endswith(('.examine', '.claims'))))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) <= {"enarx.verify.claims"}


def test_no_shared_module_names_a_kind() -> None:
    """But the registry, and the kinds that are composed of it."""
    named = re.compile(rf"enarx\.(?:verify\.kinds|formats\.evidence)\.({'|'.join(map(folder, HARDWARE))})\b")
    for path in (ROOT / "src").rglob("*.py"):
        inside = {folder(kind) for kind in HARDWARE if folder(kind) in path.parts}
        allowed = inside | {folder(part) for kind in HARDWARE if folder(kind) in inside for part in find(kind).parts}
        assert set(named.findall(path.read_text(encoding="utf-8"))) <= allowed, path


@pytest.mark.parametrize("kind", [kind for kind in HARDWARE if find(kind).request])
def test_what_a_kind_requests_from_its_vendor(kind: str) -> None:
    request = find(kind).request
    assert request is not None
    wanted = request(good(kind).evidence)
    if isinstance(wanted, amd.Request):
        assert (wanted.role, len(wanted.chip), len(wanted.tcbs)) == ("vcek", 64, 1)
    else:
        assert (wanted.authority, len(wanted.machine.fmspc)) == ("platform", 6)


def test_roots_are_values() -> None:
    name = next(roots.name for kind in KINDS for roots in find(kind).roots if roots.form == PIN)
    one, same, other = (Roots(**{name: (bytes([i]) * 32,)}) for i in (1, 1, 2))
    assert (one, hash(one), repr(one)) == (same, hash(same), repr(same))
    assert one != other
    assert Roots() != name


def test_a_name_that_is_registered_nowhere() -> None:
    with pytest.raises(UsageError, match="no verifier"):
        find("enigma")
    with pytest.raises(UsageError, match="no kind of evidence has roots called 'enigma'"):
        Roots(enigma=())
