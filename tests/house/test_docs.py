"""The documents agree with the program: commands, links, references, and tables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from enarx.cli.main import _split
from enarx.cli.parser import build_parser
from tests.house.test_english import prose, relative, to_rewrite, written
from tests.house.test_invariants import ROOT, SRC

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
ROOTS = (ROOT, ROOT / "src", SRC, ROOT / "tests")
"""The directories that paths of modules in prose may be relative to."""


def code_lines(text: str) -> list[str]:
    """The lines of all code blocks of a document, fenced or indented."""
    lines, fenced, before = [], False, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or (line.startswith("    ") and (not before.strip() or before.startswith("    "))):
            lines.append(line.strip())
        before = line
    return lines


def commands() -> list[tuple[str, str]]:
    """Every enarx command in a code block, with the name of its document."""
    found = []
    for path in DOCUMENTS:
        for line in code_lines(path.read_text()):
            line = line.removeprefix("$ ").split("| ")[-1].split(" > ")[0].strip()
            if line.startswith("enarx "):
                found.append((str(path.relative_to(ROOT)), line))
    return found


def test_commands_are_found_in_every_kind_of_block() -> None:
    text = "```sh\n$ a\n```\n\n    b\n    c\n\n1. text\n    not code\n\n   ```\n   d\n   ```\n"
    assert code_lines(text) == ["$ a", "b", "c", "d"]


def test_there_are_commands() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize(("where", "line"), commands())
def test_commands_parse(where: str, line: str) -> None:
    own, _ = _split(shlex.split(line, comments=True)[1:])
    build_parser().parse_args(own)


def anchors(path: Path) -> set[str]:
    """The anchors of a document: its headings, in GitHub's form."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", path.read_text()):
        if "://" not in target:
            to = path.parent / target if target else path
            assert to.exists(), f"{path}: {target}"
            assert not anchor or anchor in anchors(to), f"{path}: {target}#{anchor}"


REFERENCE = re.compile(r'\b(docs/[\w./-]+\.md)(?:, "([^"]+)")?')
MODULE = re.compile(r"(?<![\w/.-])((?:[a-z_]+/)+[a-z_]+\.py)\b")


def stale(path: Path) -> list[str]:
    """References in documents, docstrings and comments that lead nowhere: to documents, their sections, and modules."""
    pieces = [(1, path.read_text())] if path.suffix == ".md" else prose(path)  # documents name code in backticks
    wrong = []
    for line, piece in pieces:
        text = re.sub(r"\s+", " ", piece)
        for name, section in REFERENCE.findall(text):
            headings = re.findall(r"^#+ (.+)$", (ROOT / name).read_text(), re.M) if (ROOT / name).is_file() else None
            if headings is None or (section and section not in headings):
                wrong.append(f"{relative(path)}:{line}: {name}, {section}")
        wrong += [
            f"{relative(path)}:{line}: {name}"
            for name in MODULE.findall(text)
            if not any((root / name).is_file() for root in ROOTS)
        ]
    return wrong


@pytest.mark.parametrize("path", written(), ids=relative)
def test_references_lead_somewhere(path: Path) -> None:
    wrong = stale(path)
    if wrong and to_rewrite(path):
        pytest.skip(f"to be rewritten: {wrong}")
    assert not wrong


DECISIONS = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))


def absent(text: str) -> list[str]:
    """The names in "Follow a byte" that the file before them does not define or mention."""
    wrong = []
    for row in re.findall(r"^\|.*\| (.*) \|$", text, re.MULTILINE):
        for name, inside in re.findall(r"`([\w/]+\.py)`(?: \(([^)]*)\))?", row):
            source = (SRC / name.replace("KIND", "snp")).read_text()
            names = [part for each in re.findall(r"`([\w.]+)`", inside) for part in each.split(".")]
            wrong += [f"{name}: {each}" for each in names if not defines(source, each)]
    return wrong


def defines(source: str, name: str) -> bool:
    return (
        re.search(rf"^\s*(async def|def|class) {name}\b|^{name}\b.*=|\b{name}(, \w+)* = ", source, re.MULTILINE)
        is not None
    )


def followed(text: str) -> str:
    return text.partition("## Follow a byte\n")[2].partition("\n## ")[0]


def test_following_a_byte_leads_through_existing_functions() -> None:
    text = followed((ROOT / "docs" / "architecture.md").read_text())
    assert text.count("| what happens | where |") == 4
    assert not absent(text)


def test_a_step_that_is_gone_is_noticed() -> None:
    assert absent("| a | `verify/appraise.py` (`appraise`), `keep/files.py` (`Storage.gone`) |") == [
        "keep/files.py: gone"
    ]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda p: p.stem)
def test_decisions_have_their_parts_and_fit_a_page(path: Path) -> None:
    text = path.read_text()
    parts = re.findall(r"^\*\*(Context|Decision|Alternatives|Consequences)\.\*\*", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Alternatives", "Consequences"]
    assert len(text.splitlines()) <= 70
    number, title = re.findall(r"^# (\d+)\. (.+)$", text, re.MULTILINE)[0]
    assert int(number) == int(path.stem[:4])
    assert f"* [{number}. {title}]({path.name})" in (ROOT / "docs/adr/README.md").read_text()


def test_every_threat_has_its_attack() -> None:
    """Each threat has exactly one attack, and each attack one threat."""
    threats = [int(n) for n in re.findall(r"^\| T(\d+) \|", (ROOT / "docs/threat-model.md").read_text(), re.MULTILINE)]
    attacks: list[int] = []
    for path in (ROOT / "tests/attacks").glob("test_t*.py"):
        numbers = [int(n) for n in re.findall(r"_t(\d\d)(?=_)", path.name)]
        attacks += range(numbers[0], numbers[-1] + 1)
    assert sorted(attacks) == sorted(threats)


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["run"],
        ["deploy"],
        ["keep", "attach"],
        ["host", "serve"],
        ["platform"],
        ["init"],
        ["package", "digest"],
        ["owner", "new"],
        ["reset"],
    ):
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args([*words, "--help"])
        assert ended.value.code == 0
        assert "examples:" in capsys.readouterr().out


def test_make_targets_that_the_readme_names() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(
        re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text())
    )
    assert named <= targets | {"documents"}
    assert {"demo", "test", "check", "bench"} <= targets


def test_states_of_the_specification_are_the_table() -> None:
    from enarx.delivery.states import ACCEPTANCE, FINAL, LAST_CHUNK, TABLE

    text = (ROOT / "docs/spec/delivery.md").read_text()
    section = text[text.index("## States") :]
    written = set()
    for states, frames, _ in re.findall(r"^\| ([a-z, ]+) \| ([A-Z_, ]+) \| ([^|]+) \|$", section, re.MULTILINE):
        written |= {(s.strip(), f.strip()) for s in states.split(",") for f in frames.split(",")}
    named = {LAST_CHUNK: "LAST CHUNK", ACCEPTANCE: "ACCEPTANCE", FINAL: "FINAL"}
    assert written == {(state, named[e] if isinstance(e, str) else e.name) for state, e in TABLE}


def test_bounds_of_frames_in_the_specification_are_the_programs() -> None:
    from enarx.formats.wire import LARGEST

    text = (ROOT / "docs/spec/delivery.md").read_text()
    units = {"": 1, " KiB": 1 << 10, " KiB + 64": 1 << 10}
    written = {
        name: int(size) * units[unit] + 64 * ("64" in unit)
        for name, size, unit in re.findall(
            r"^\| \d+ \| ([A-Z_]+) \| (?:tenant|Keep) \| .*? \| (\d+)( KiB(?: \+ 64)?|) \|$", text, re.MULTILINE
        )
    }
    assert written == {kind.name: size for kind, size in LARGEST.items()}
