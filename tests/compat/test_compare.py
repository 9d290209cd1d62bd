"""The comparison notices each difference, and each program is pinned."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import signal
import time
from collections.abc import Callable
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


def client(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a shell script be each registry's client. `$1` is the directory in which the file belongs."""
    monkeypatch.setenv("ENARX_COMPAT_DOWNLOAD", "1")
    monkeypatch.setattr(Package, "command", lambda self, into: ["sh", "-c", script, "client", str(into)])


def package_of(content: bytes) -> Package:
    return Package("pypi", "a", "1", "a-1.whl", hashlib.sha256(content).hexdigest())


def test_a_client_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "echo no such package >&2; exit 1")
    with pytest.raises(Missing, match="no such package"):
        downloaded(package_of(b""), tmp_path)
    client(monkeypatch, "true")
    with pytest.raises(Missing, match=r"wrote no a-1\.whl"):
        downloaded(package_of(b""), tmp_path)
    monkeypatch.setattr(Package, "command", lambda self, into: ["enarx-no-such-client"])
    with pytest.raises(Missing, match="needs enarx-no-such-client"):
        downloaded(package_of(b""), tmp_path)


def test_a_download_with_another_digest_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, 'printf half > "$1/a-1.whl"')
    with pytest.raises(Tampered, match="downloaded"):
        downloaded(package_of(b"whole"), tmp_path)
    assert visible(tmp_path / "downloads") == []
    client(monkeypatch, 'printf whole > "$1/a-1.whl"')
    assert downloaded(package_of(b"whole"), tmp_path).read_bytes() == b"whole"
    assert visible(tmp_path / "downloads") == ["a-1.whl"]


def test_a_run_that_is_killed_while_it_downloads_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client lives on and writes, and must not spoil what the next run downloads."""
    go, end = tmp_path / "go", tmp_path / "end"
    late = f'until test -e {go}; do sleep 0.05; done; echo x >> "$1/a-1.whl"; touch {end}'
    client(monkeypatch, f'exec 2> /dev/null; printf half > "$1/a-1.whl"; {late}')
    killed = os.fork()
    if killed == 0:
        try:
            downloaded(package_of(b"whole"), tmp_path)
        finally:
            os._exit(1)
    until(lambda: list((tmp_path / "downloads").glob(".*/a-1.whl")))
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    assert list((tmp_path / "downloads").glob(".*/a-1.whl"))  # the half is still there
    assert visible(tmp_path / "downloads") == []
    client(monkeypatch, f'printf whole > "$1/a-1.whl"; touch {go}; until test -e {end}; do sleep 0.05; done')
    assert downloaded(package_of(b"whole"), tmp_path).read_bytes() == b"whole"
    assert visible(tmp_path / "downloads") == ["a-1.whl"]
    assert not list((tmp_path / "downloads").glob(".*.partial.*"))


def test_of_two_processes_that_download_the_second_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, f'echo x >> {tmp_path}/runs; sleep 0.3; printf whole > "$1/a-1.whl"')
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            try:
                os._exit(downloaded(package_of(b"whole"), tmp_path).read_bytes() != b"whole")
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert (tmp_path / "runs").read_text() == "x\n"


def test_a_directory_appears_only_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, into: Path) -> None:
        (into / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(packages, "unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        together_in(tmp_path / "place", [Path("a")])
    assert visible(tmp_path) == []
    monkeypatch.setattr(packages, "unpack", lambda path, into: (into / "whole").touch())
    assert os.listdir(together_in(tmp_path / "place", [Path("a")])) == ["whole"]
    assert visible(tmp_path) == ["place"]


def visible(directory: Path) -> list[str]:
    """The names in a directory that a user of it sees."""
    return sorted(name for name in os.listdir(directory) if not name.startswith("."))


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, at most 20 seconds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_wheels_and_tarballs_are_unpacked(tmp_path: Path) -> None:
    import tarfile
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a/module.wasm", b"1")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/module.wasm").write_bytes(b"2")
    with tarfile.open(tmp_path / "b.tgz", "w:gz") as tarball:
        tarball.add(tmp_path / "package", "package")
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as tarball:
        tarball.add(tmp_path / "package/module.wasm", "source.c")
    for name in ("a.whl", "b.tgz", "c.tar.gz"):
        unpack(tmp_path / name, tmp_path / "to")
    assert (tmp_path / "to/a/module.wasm").read_bytes() == b"1"
    assert (tmp_path / "to/package/module.wasm").read_bytes() == b"2"
    assert (tmp_path / "to/source.c").read_bytes() == b"2"


def test_the_document_lists_the_programs() -> None:
    text = (ROOT / "docs/compatibility.md").read_text()
    rows = re.findall(r"^\| ([\w-]+) \| ([\w+]+) \| ([\w@/-]+) \| ([\w.]+) \| (.+) \|$", text, re.MULTILINE)
    entries = (*PROGRAMS, *REFUSED)
    rows = [row for row in rows if row[1] != "language"]
    assert rows == [(e.name, e.language, e.package, listed()[e.package].version, e.shows) for e in entries]
