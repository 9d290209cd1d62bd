"""What the documents say is what the program does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from enarx.cli.main import _split
from enarx.cli.parser import build_parser

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[tuple[str, str]]:
    """Every line of a code block that starts with enarx, with where it stands."""
    found = []
    for path in DOCUMENTS:
        for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                line = line.split("| ")[-1].split(" > ")[0].strip()
                if line.startswith("enarx "):
                    found.append((str(path.relative_to(ROOT)), line))
    return found


def test_there_are_commands() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize(("where", "line"), commands())
def test_commands_parse(where: str, line: str) -> None:
    own, _ = _split(shlex.split(line, comments=True)[1:])
    build_parser().parse_args(own)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_every_threat_has_its_attack() -> None:
    """And every attack its threat, each once."""
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
    for states, frames, _ in re.findall(r"^\| ([a-z, ]+) \| ([A-Z, ]+) \| ([^|]+) \|$", section, re.MULTILINE):
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
            r"^\| \d+ \| ([A-Z]+) \| (?:tenant|Keep) \| .*? \| (\d+)( KiB(?: \+ 64)?|) \|$", text, re.MULTILINE
        )
    }
    assert written == {kind.name: size for kind, size in LARGEST.items()}
