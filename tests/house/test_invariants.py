"""House rules that can be checked by reading the source."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SRC = ROOT / "src" / "enarx"
PURE = ("formats", "verify", "delivery")
LINUX = ("keep", "host", "simulator", "spawn.py")

WORLD = {
    "os",
    "socket",
    "time",
    "datetime",
    "random",
    "secrets",
    "pathlib",
    "subprocess",
    "threading",
    "select",
    "asyncio",
    "ssl",
    "tempfile",
    "shutil",
    "urllib",
    "http",
    "enarx.files",
    "enarx.spawn",
}
"""Modules that a pure zone must not import: I/O, clock, randomness."""

LINUX_ONLY = {"fcntl", "resource", "wasmtime", "pty", "termios", "grp", "pwd"}
"""Modules that other systems lack, or that only a Keep's machine needs."""

MAX_LINES = 400
CAPS = {"base": 4500, "providers": 350, "unstable": 80}
"""The maximum lines of code inside a Keep, by profile."""


def modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def zone(path: Path) -> str:
    return path.relative_to(SRC).parts[0]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


every_module = pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SRC)))


def test_layers() -> None:
    found = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("path", [p for p in modules() if zone(p) in PURE], ids=lambda p: str(p.relative_to(SRC)))
def test_pure(path: Path) -> None:
    tree = parsed(path)
    named = set(imports(tree))
    assert not (named | {name.split(".")[0] for name in named}) & WORLD
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"open", "input", "print"}


LATE = {
    "api/text_format.py": {"wasmtime"},
    "cli/main.py": {"resource"},
    "cli/sandbox_layers.py": {"resource"},
    "cli/session.py": {"fcntl", "termios"},
}
"""Modules imported inside a function, which works without them."""


@pytest.mark.parametrize("path", [p for p in modules() if zone(p) not in LINUX], ids=lambda p: str(p.relative_to(SRC)))
def test_nothing_of_linux_alone_outside_keep_and_host(path: Path) -> None:
    tree = parsed(path)
    late = LATE.get(str(path.relative_to(SRC)), set())
    assert not ({name.split(".")[0] for name in imports(tree)} & LINUX_ONLY) - late
    if zone(path) == "cli":
        return  # commands that need Linux refuse elsewhere, and import late
    used = {
        f"{n.value.id}.{n.attr}"
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    }
    assert not used & {
        "os.fork",
        "os.posix_spawn",
        "os.unshare",
        "os.pidfd_open",
        "os.sendfile",
        "signal.SIGKILL",
        "socket.send_fds",
    }


@every_module
def test_nothing_is_swallowed_or_left_undone(path: Path) -> None:
    tree = parsed(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno}: a bare except"
            swallowed = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
            broad = ast.unparse(node.type) in ("Exception", "BaseException", "EnarxError")
            assert not (swallowed and broad), f"{path}:{node.lineno}: too much is swallowed"
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert "NotImplementedError" not in ast.dump(node.exc), f"{path}:{node.lineno}"
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text(encoding="utf-8"))


HELPERS = {
    "os.replace(": "files.py",
    "os.posix_spawn(": "spawn.py",
    "c if c.isprintable() else": "formats/text.py",
}
"""Code that is easy to get wrong, and the one module that has it; all others call that module."""

TO_ADOPT = {
    "cli/console.py",
    "cli/event_logs.py",
    "cli/session.py",
    "simulator/keys.py",
    "simulator/main.py",
    "tenant/paths.py",
}
"""Modules that still have code of their own."""


@pytest.mark.parametrize("code", HELPERS)
def test_each_helper_has_one_place(code: str) -> None:
    using = {str(path.relative_to(SRC)) for path in modules() if code in path.read_text(encoding="utf-8")}
    assert HELPERS[code] in using
    assert using - TO_ADOPT == {HELPERS[code]}


@every_module
def test_small_enough_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def lines_of_code(path: Path) -> int:
    """The number of lines with code. Comments, docstrings and blank lines do not count, so explaining is free."""
    text = path.read_text(encoding="utf-8")
    said: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            said.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            found.update(range(token.start[0], token.end[0] + 1))
    return len(found - said)


def lines_of_profiles() -> dict[str, int]:
    """The lines of code of our own files inside a Keep, by profile."""
    from enarx.image.contents import PROFILES, files

    profile_of = {name: profile for profile, names in PROFILES.items() for name in names}
    totals = dict.fromkeys(("base", *PROFILES), 0)
    for name, path in files((str(ROOT / "src"), *sys.path)).items():
        if name.startswith("enarx/"):
            totals[profile_of.get(name, "base")] += lines_of_code(Path(path))
    return totals


def test_the_keep_can_be_read_in_a_day() -> None:
    assert {profile: cap for profile, cap in CAPS.items() if lines_of_profiles()[profile] > cap} == {}
    assert lines_of_profiles().keys() == CAPS.keys()


@pytest.mark.parametrize(
    "path", [p for p in modules() if p.name != "__main__.py"], ids=lambda p: str(p.relative_to(SRC))
)
def test_what_is_public_says_what_it_is(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree), f"{path}: no docstring"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}:{node.lineno}: {node.name} has no docstring"


def committed() -> list[Path]:
    """All files that git tracks or would track, except binaries and lock files."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    if listed.returncode:  # a copy of the tree; ignored files are below hidden directories
        paths = [p for p in ROOT.rglob("*") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)]
        paths = [p for p in paths if p.suffix != ".pyc"]
    return [p for p in paths if p.is_file() and p.suffix not in (".wasm", ".lock")]


WORKPLACE = [
    r"/work/" + "main",
    r"/root/" + r"\.",
    "pypi" + r"\.org",
    "python" + "hosted",
    r"registry\." + "npmjs",
    "issue " + "#",
]


@pytest.mark.parametrize("word", WORKPLACE)
def test_the_project_speaks_of_itself_alone(word: str) -> None:
    for path in committed():
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not re.search(word, text), f"{path}: {word}"


def test_every_threat_has_an_attack() -> None:
    threats = set(re.findall(r"^\| (T\d+) \|", (ROOT / "docs/threat-model.md").read_text(), re.MULTILINE))
    names = " ".join(p.name for p in (ROOT / "tests/attacks").glob("test_t*.py"))
    covered = {f"T{int(n)}" for n in re.findall(r"t(\d\d)_", names)}
    low, high = (int(n) for n in re.findall(r"test_t(\d+)_to_t(\d+)", names)[0])
    covered |= {f"T{n}" for n in range(low, high + 1)}
    assert threats == covered
    assert len(threats) >= 19
