"""The imports that each zone may have, and proof that the contracts in pyproject.toml and these rules can fail."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_invariants import PURE, ROOT, SRC, imports, modules, parsed, zone

PURE_STDLIB = {
    *(
        "__future__",
        "base64",
        "binascii",
        "calendar",
        "collections",
        "contextlib",
        "datetime",
        "difflib",
        "enum",
        "functools",
        "hashlib",
        "hmac",
    ),
    *(
        "io",
        "ipaddress",
        "itertools",
        "json",
        "operator",
        "re",
        "struct",
        "textwrap",
        "tomllib",
        "typing",
        "unicodedata",
        "uuid",
        "warnings",
    ),
}
"""The modules of the standard library that a pure zone may import, because they only compute. Of `io`, only in-memory
streams are allowed: another rule forbids `open`."""

FOREIGN = {
    "formats": {"cbor2", "cryptography"},
    "verify": {"cryptography"},
    "delivery": {"cryptography"},
    "image": {"cryptography"},
    "endorsements": {"filelock"},
    "api": {"wasmtime"},
    "tenant": {"cryptography"},
    "cli": {"joserfc"},
    "simulator": {"cryptography"},
    "keep": {"cryptography", "wasmtime"},
    "host": {"msgspec", "prometheus_client", "starlette", "uvloop"},
}
"""The third-party packages that each zone may import."""

REGISTRY = SRC / "verify" / "kinds" / "__init__.py"
"""Loads the folder of a kind by its registered name: the one place of the pure zones where an import is not written out."""

CHANCE = {
    *(".generate", ".generate_key", ".generate_private_key", ".urandom", ".getrandom", ".token_bytes"),
    *(".now", ".utcnow", ".today", ".time", ".time_ns", ".monotonic"),
}
"""Calls that draw random bytes or read the clock. A pure zone takes entropy and time as arguments. The one exception is
HPKE encapsulation inside cryptography, which does not accept external entropy."""

BREACHES = [
    ("formats/wire.py", "enarx.verify"),
    ("verify/policy.py", "enarx.delivery"),
    ("tenant/paths.py", "enarx.host"),
    ("tenant/paths.py", "enarx.cli"),
    ("tenant/paths.py", "wasmtime"),
    ("host/supervisor/frames.py", "enarx.verify"),
    ("host/supervisor/frames.py", "enarx.formats.wire"),
    ("host/supervisor/frames.py", "cryptography"),
    ("keep/frames.py", "enarx.verify"),
    ("keep/frames.py", "enarx.image"),
    ("simulator/keys.py", "enarx.delivery"),
    ("simulator/keys.py", "enarx.keep"),
]
"""Imports that each break a contract."""


def first(names: Iterator[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def called(tree: ast.AST) -> set[str]:
    """The called functions: names, or a dot and the last part of an attribute."""
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {f.id for f in functions if isinstance(f, ast.Name)}
    return names | {f".{f.attr}" for f in functions if isinstance(f, ast.Attribute)}


def early(tree: ast.Module) -> set[str]:
    """The imports at the top level of a module."""
    return {name for node in tree.body for name in imports(node) if isinstance(node, (ast.Import, ast.ImportFrom))}


def lint(root: Path, config: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(
        [program, "--no-cache", "--config", config], cwd=root, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(SRC, root / "enarx", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.parametrize(("path", "imported"), BREACHES)
def test_contracts_can_be_broken(copy: Path, path: str, imported: str) -> None:
    target = copy / "enarx" / path
    before = target.read_text(encoding="utf-8")
    target.write_text(f"{before}\nimport {imported}\n", encoding="utf-8")
    found = lint(copy, ROOT / "pyproject.toml")
    target.write_text(before, encoding="utf-8")
    assert found.returncode == 1
    assert "BROKEN" in found.stdout


def test_a_new_zone_has_to_be_given_its_place(copy: Path) -> None:
    (copy / "enarx" / "novel.py").write_text("")
    found = lint(copy, ROOT / "pyproject.toml")
    (copy / "enarx" / "novel.py").unlink()
    assert found.returncode == 1


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SRC)))
def test_packages_of_others(path: Path) -> None:
    foreign = first(imports(parsed(path))) - set(sys.stdlib_module_names) - {"enarx"}
    assert foreign <= FOREIGN.get(zone(path), set())


@pytest.mark.parametrize("path", [p for p in modules() if zone(p) in PURE], ids=lambda p: str(p.relative_to(SRC)))
def test_pure_zones_only_compute(path: Path) -> None:
    tree = parsed(path)
    allowed = PURE_STDLIB | ({"importlib"} if path == REGISTRY else set())
    assert first(imports(tree)) & set(sys.stdlib_module_names) <= allowed
    assert not called(tree) & CHANCE
    assert not called(tree) & {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}


@pytest.mark.parametrize(
    "line",
    ["os.urandom(32)", "X25519PrivateKey.generate()", "datetime.now()", "AESGCM.generate_key(256)"],
)
def test_chance_and_clock_are_found(line: str) -> None:
    assert called(ast.parse(line)) & CHANCE


@pytest.mark.parametrize("path", [p for p in modules() if zone(p) == "cli"], ids=lambda p: str(p.relative_to(SRC)))
def test_commands_load_the_host_and_the_keep_late(path: Path) -> None:
    zones = {name.split(".")[1] for name in early(parsed(path)) if name.startswith("enarx.")}
    assert not zones & {"host", "keep", "simulator", "steward"}


def test_the_parser_loads_no_zone() -> None:
    """Help and completion load every command and answer at once; a broken zone breaks only its own commands."""
    code = "import sys, enarx.cli.main, enarx.cli.parser; enarx.cli.parser.build_parser(); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[1] for name in found if name.startswith("enarx.")} == {"cli", "errors"}
    assert first(iter(found)).isdisjoint(set().union(*FOREIGN.values()))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SRC)))
def test_no_path_for_debugging(path: Path) -> None:
    """No code path depends on a name with debug in it; debugging is a claim that policies appraise."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.If, ast.IfExp, ast.While)):
            asked = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
            asked |= {n.attr for n in ast.walk(node.test) if isinstance(n, ast.Attribute)}
            assert not {name for name in asked if "debug" in name.lower()}, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", [p for p in modules() if zone(p) in PURE], ids=lambda p: str(p.relative_to(SRC)))
def test_failure_raises(path: Path) -> None:
    """Functions that decide about trust raise; a returned bool could be ignored."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith(
            ("verify", "appraise", "check", "require", "open")
        ):
            assert node.returns is None or ast.unparse(node.returns) != "bool", f"{path}:{node.lineno}: {node.name}"
