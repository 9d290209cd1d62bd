"""The tools that build the environment are pinned by hash, and nothing else is fetched."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BOOTSTRAP = (ROOT / "bootstrap.txt").read_text()
PINNED = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", BOOTSTRAP, re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_build_backend_is_the_pinned_one() -> None:
    for requirement in PROJECT["build-system"]["requires"]:
        name, version = requirement.split("==")
        assert PINNED[name] == version
    assert "uv" in PINNED
    assert PROJECT["tool"]["uv"]["no-build-isolation-package"] == [PROJECT["project"]["name"]]


def test_each_has_hashes() -> None:
    entries = re.split(r"^(?=[a-z])", BOOTSTRAP, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINNED) >= 3
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)


def test_make_installs_nothing_else() -> None:
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if " install " in line and "pip" in line]
    assert len(lines) == 1
    assert "--require-hashes -r bootstrap.txt" in lines[0]
    assert all("--locked" in line for line in (ROOT / "Makefile").read_text().splitlines() if "uv sync" in line)


def test_another_hash_is_refused(tmp_path: Path) -> None:
    """pip itself refuses a local file whose hash differs."""
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "there-1-py3-none-any.whl"
    wheel.write_bytes(b"not what was pinned")
    wrong = tmp_path / "bootstrap.txt"
    wrong.write_text("there==1 --hash=sha256:" + "0" * 64 + "\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-index", "--find-links", tmp_path / "wheels"]
    found = subprocess.run(
        [*command, "--require-hashes", "-r", wrong, "-d", tmp_path / "out"], capture_output=True, text=True
    )
    assert found.returncode == 1
    assert "DO NOT MATCH" in found.stderr
