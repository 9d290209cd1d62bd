"""The comparison notices each difference, and each program is pinned."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from tests.compat import __main__ as table
from tests.compat import packages
from tests.compat.compare import Job, Outcome, differences, prepare, tree
from tests.compat.packages import Missing, Package, Tampered, digest, downloaded, listed, together_in, unpack
from tests.compat.programs import PROGRAMS, REFUSED, Program
from tests.house.test_invariants import ROOT

PEER = Outcome(b"out\n", b"err\n", 3, {"a": "00"}, 1.0)
OURS = Outcome(b"out\n", b"warning: SIMULATED\nerr\n{}\n", 3, {"a": "00"}, 2.0, 4)


def test_equal_outcomes_have_no_differences() -> None:
    assert differences(PEER, OURS) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"stdout": b"other\n"}, "stdout"),
        ({"stderr": b"warning: SIMULATED\nother\n", "stderr_size": 4}, "stderr"),
        ({"stderr_size": 8}, "stderr"),
        ({"stderr_size": None}, "stderr"),
        ({"code": 0}, "exit code"),
        ({"files": {}}, "files"),
        ({"files": {"a": "01"}}, "files"),
        ({"files": {"a": "00", "b": "00"}}, "files"),
    ],
)
def test_each_difference_is_noticed(change: dict[str, object], name: str) -> None:
    (got,) = differences(PEER, dataclasses.replace(OURS, **change))  # type: ignore[arg-type]
    assert got.startswith(f"{name}: ")


def test_only_a_trap_is_reported_in_each_commands_own_words() -> None:
    other = dataclasses.replace(OURS, stderr=b"error: the workload trapped\n", stderr_size=0)
    assert differences(PEER, other) != []
    assert differences(PEER, other, traps=True) == []
    assert differences(PEER, dataclasses.replace(other, code=134), traps=True) != []


def test_two_sides_that_fail_alike_do_not_pass() -> None:
    program = Program("x", "C", "sqlite3", "", lambda: Job(Path("x.wasm")), 3, b"out", 1)
    assert table.unexpected(program, PEER) == []
    for change in ({"code": 1}, {"stdout": b""}, {"files": {}}):
        assert len(table.unexpected(program, dataclasses.replace(PEER, **change))) == 1  # type: ignore[arg-type]


def test_a_tree_has_directories_contents_and_the_executable_bit(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_bytes(b"1")
    (tmp_path / "d/b").write_bytes(b"1")
    (tmp_path / "d/b").chmod(0o755)
    got = tree(tmp_path)
    assert got["d"] == "dir"
    assert got["d/b"] == got["d/a"] + "+x"
    (tmp_path / "d/a").write_bytes(b"2")
    assert tree(tmp_path)["d/a"] != got["d/a"]


def test_inputs_are_laid_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "x").write_bytes(b"x")
    (tmp_path / "a.wasm").write_bytes(b"module")
    job = Job(tmp_path / "a.wasm", files={"deep/file": b"1", "copy": source, "one": source / "x"})
    module = prepare(job, tmp_path / "place")
    assert (module.name, module.read_bytes()) == ("a.wasm", b"module")
    assert set(tree(tmp_path / "place/in")) == {"deep", "deep/file", "copy", "copy/x", "one"}


def test_at_least_ten_programs_of_several_languages_are_pinned() -> None:
    assert len({program.name for program in PROGRAMS}) >= 10
    assert len({program.language for program in PROGRAMS}) >= 4
    assert {program.package for program in (*PROGRAMS, *REFUSED)} <= set(listed())


def test_every_package_is_named_by_code() -> None:
    code = "".join(path.read_text() for path in (ROOT / "tests/compat").glob("*.py"))
    assert [name for name in listed() if f'"{name}"' not in code] == []


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    path = tmp_path / "downloads/a-1.whl"
    path.write_bytes(b"x")
    package = Package("pypi", "a", "1", "a-1.whl", digest(path))
    assert downloaded(package, tmp_path) == path
    path.write_bytes(b"y")
    with pytest.raises(Tampered, match="wanted"):
        downloaded(package, tmp_path)


def test_nothing_is_downloaded_without_make_compat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENARX_COMPAT_DOWNLOAD", raising=False)
    monkeypatch.setattr(packages.subprocess, "run", lambda *a, **k: pytest.fail("a client was started"))
    for registry in ("pypi", "npm", "debian"):
        with pytest.raises(Missing, match="make compat"):
            downloaded(Package(registry, "a", "1", "a-1", "00"), tmp_path)


def test_a_client_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENARX_COMPAT_DOWNLOAD", "1")
    monkeypatch.setattr(Package, "command", lambda self, into: ["sh", "-c", "echo no such package >&2; exit 1"])
    with pytest.raises(Missing, match="no such package"):
        downloaded(Package("pypi", "a", "1", "a-1.whl", "00"), tmp_path)
    monkeypatch.setattr(Package, "command", lambda self, into: ["enarx-no-such-client"])
    with pytest.raises(Missing, match="needs enarx-no-such-client"):
        downloaded(Package("npm", "a", "1", "a-1.tgz", "00"), tmp_path)


def test_a_directory_appears_only_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, into: Path) -> None:
        (into / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(packages, "unpack", killed)
    with pytest.raises(KeyboardInterrupt):
        together_in(tmp_path / "place", [Path("a")])
    assert not (tmp_path / "place").exists()
    monkeypatch.setattr(packages, "unpack", lambda path, into: (into / "whole").touch())
    assert os.listdir(together_in(tmp_path / "place", [Path("a")])) == ["whole"]


def test_of_two_processes_that_unpack_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"

    def other_process(path: Path, into: Path) -> None:
        place.mkdir()
        (place / "first").touch()

    monkeypatch.setattr(packages, "unpack", other_process)
    assert os.listdir(together_in(place, [Path("a")])) == ["first"]
    assert os.listdir(tmp_path) == ["place"]


def test_wheels_and_tarballs_are_unpacked(tmp_path: Path) -> None:
    import tarfile
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a/module.wasm", b"1")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/module.wasm").write_bytes(b"2")
    with tarfile.open(tmp_path / "b.tgz", "w:gz") as tarball:
        tarball.add(tmp_path / "package", "package")
    for name in ("a.whl", "b.tgz"):
        unpack(tmp_path / name, tmp_path / "to")
    assert (tmp_path / "to/a/module.wasm").read_bytes() == b"1"
    assert (tmp_path / "to/package/module.wasm").read_bytes() == b"2"


def test_the_document_lists_the_programs() -> None:
    text = (ROOT / "docs/compatibility.md").read_text()
    rows = re.findall(r"^\| ([\w-]+) \| ([\w+]+) \| ([\w@/-]+) \| ([\w.]+) \| (.+) \|$", text, re.MULTILINE)
    entries = (*PROGRAMS, *REFUSED)
    rows = [row for row in rows if row[1] != "language"]
    assert rows == [(e.name, e.language, e.package, listed()[e.package].version, e.shows) for e in entries]
