"""Text beside the code is correct too: examples in documents, help texts, reasons for exceptions."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import re
import shlex
import statistics
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from enarx.cli.main import _split
from enarx.cli.parser import build_parser
from enarx.formats.config import Config
from tests.house.test_docs import DOCUMENTS
from tests.house.test_invariants import ROOT, SRC, modules, parsed

SUPPRESSIONS = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore)")
CODED = re.compile(r"(noqa: [A-Z]+\d+|type: ignore\[[a-z-]+\])")
LONGEST = 50
USUAL = 20


def blocks(language: str) -> list[tuple[str, str]]:
    """Every code block in a language, with the name of its document."""
    return [
        (str(path.relative_to(ROOT)), text)
        for path in DOCUMENTS
        for text in re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    ]


def folded(epilog: str | None) -> str:
    """The examples, each in a line again."""
    return (epilog or "").replace("\\\n", "")


def examples() -> Iterator[str]:
    """All example lines in the help of all commands."""
    waiting = [build_parser()]
    while waiting:
        parser = waiting.pop()
        yield from (line.strip() for line in folded(parser.epilog).splitlines() if line.strip().startswith("enarx "))
        waiting += parser.below.values()


def functions() -> Iterator[tuple[int, str]]:
    for path in modules():
        for node in ast.walk(parsed(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                where = f"{path.relative_to(SRC)}:{node.lineno}: {node.name}"
                yield (node.end_lineno or 0) - node.lineno + 1, where


@pytest.mark.parametrize(("where", "text"), blocks("toml"))
def test_configurations_in_documents_are_accepted(where: str, text: str) -> None:
    Config.from_toml(text, source=where)


@pytest.mark.parametrize(("where", "text"), blocks("python"))
def test_programs_in_documents_import_what_there_is(where: str, text: str) -> None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for name in (alias.name for alias in node.names):
                inside = getattr(module, "__path__", None) and importlib.util.find_spec(f"{node.module}.{name}")
                known = hasattr(module, name) or inside
                assert known, f"{where}: {ast.unparse(node)}"


def test_there_are_examples_of_both() -> None:
    assert blocks("toml")
    assert blocks("python")


def test_examples_in_help_texts_parse() -> None:
    lines = list(examples())
    assert len(lines) >= 15
    for line in lines:
        own, _ = _split(shlex.split(line)[1:])
        build_parser().parse_args(own)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SRC)))
def test_what_is_silenced_is_named(path: Path) -> None:
    """Each suppression names its rule; a blanket one would hide the next error."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT and SUPPRESSIONS.match(token.string):
            assert CODED.search(token.string), f"{path}:{token.start[0]}: {token.string}"


def test_every_rule_that_is_ignored_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.pycodestyle]")]
    ignored = section[section.index("ignore = [") :].splitlines()[1:]
    lines = ignored[: ignored.index("]")]
    assert lines
    assert all(re.fullmatch(r'  "[A-Z]+\d+", +# .+', line) for line in lines)


def test_functions_are_short() -> None:
    lengths = sorted(functions(), reverse=True)
    too_long = [f"{where}: {length} lines" for length, where in lengths if length > LONGEST]
    assert not too_long
    assert statistics.quantiles([length for length, _ in lengths], n=10)[-1] <= USUAL


def test_modules_carry_nothing_of_the_machine_that_built_them() -> None:
    found = [path for path in ROOT.rglob("*.wasm") if not {".venv", ".compat"} & set(path.parts)]
    assert found
    for path in found:
        assert not re.search(rb"/[\w.-]+/[\w./-]*\.(c|h|o|a|zig|rs|py)\b", path.read_bytes()), path
