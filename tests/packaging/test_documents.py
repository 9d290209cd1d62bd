"""The diagrams belong to their sources, the index has every page, and the verification page's program runs."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from enarx.cli.main import main
from tests.house.test_invariants import ROOT

DOCS = ROOT / "docs"
SOURCES = sorted((DOCS / "diagrams").glob("*.dot"))
SVG = "{http://www.w3.org/2000/svg}"


def drawn_from(svg: str) -> str:
    """The digest of the source that a drawing states."""
    return re.findall(r"<!-- drawn from the source with SHA-256 ([0-9a-f]{64}) -->", svg)[0]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_drawing_belongs_to_its_source(source: Path) -> None:
    """`make diagrams` draws them again."""
    assert drawn_from(source.with_suffix(".svg").read_text()) == hashlib.sha256(source.read_bytes()).hexdigest()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_drawing_is_readable_on_a_dark_page(source: Path) -> None:
    """It has a white background of its own, and every label of its source."""
    tree = ET.parse(source.with_suffix(".svg"))
    background = next(tree.iter(f"{SVG}polygon"))
    assert background.get("fill") == "white"
    shown = " ".join(text.text or "" for text in tree.iter(f"{SVG}text"))
    for label in re.findall(r'label="([^"]+)"', source.read_text()):
        for line in label.split(r"\n"):
            assert line.strip() in shown.replace("\xa0", " "), line


def test_every_diagram_is_shown() -> None:
    assert len(SOURCES) == 2
    text = (DOCS / "tour.md").read_text()
    assert {f"diagrams/{path.stem}.svg" for path in SOURCES} == set(re.findall(r"\((diagrams/\w+\.svg)\)", text))


def test_the_index_has_every_page() -> None:
    """Pages of a folder may be reached from the folder's own page."""
    linked = set(re.findall(r"\]\(([\w./-]+\.md)\)", (DOCS / "README.md").read_text()))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    folders = ("adr/", "attestation/", "extending/", "guides/languages/")
    below = {page for page in pages if page.startswith(folders)} - {"adr/README.md"}
    assert pages - below - {"README.md"} <= linked


@pytest.mark.parametrize("folder", ["attestation", "extending", "guides/languages"])
def test_each_page_of_a_folder_is_reached_from_the_folders_page(folder: str) -> None:
    text = (DOCS / f"{folder}.md").read_text()
    assert all(f"({Path(folder).name}/{path.name})" in text for path in (DOCS / folder).glob("*.md"))


def test_the_program_of_the_verification_page_runs(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "verification.md").read_text(), re.DOTALL | re.MULTILINE)
    assert main(["evidence", "example", "snp", "--write", str(tmp_path / "example")]) == 0
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-W", "error", "program.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert found.stdout.endswith("\ntrusted\n")
    evidence = tmp_path / "example" / "evidence.bin"
    evidence.write_bytes(evidence.read_bytes()[:-600] + b"\x55" * 600)
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).returncode == 1  # the control
