"""Results as files, through the commands: run, deploy, attach, logs, and a third party's check."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import wat
from tests.e2e.harness import Daemon, enarx, run, until

SCRIPT = wat.entry("w", "a.txt") + wat.entry("d", "d") + wat.entry("w", "d/b") + wat.entry("d", "empty")
FILES = {"a.txt": b"a.txt", "d/b": b"d/b"}


@pytest.fixture
def maker(home: Path) -> Path:
    path = home / "maker.wasm"
    path.write_bytes(wat.maker())
    return path


def files(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_run(home: Path, maker: Path) -> None:
    found = run(home, "--json", "--out", f"{home}/r::/out", maker, stdin=SCRIPT + wat.entry("x", "", 3))
    assert found.returncode == 3
    assert files(home / "r") == FILES
    assert (home / "r" / "empty").is_dir()
    (listed,) = json.loads(found.stderr.splitlines()[-1])["directories"]
    assert listed | {"digest": ""} == {"guest": "/out", "digest": "", "files": 2, "bytes": 8, "path": f"{home}/r"}


def test_a_directory_of_the_file_with_a_copy_to_start_from(home: Path, maker: Path) -> None:
    (home / "start").mkdir()
    (home / "start" / "old").write_bytes(b"old")
    (home / "start" / "tool").write_bytes(b"#!")
    (home / "start" / "tool").chmod(0o755)
    os.utime(home / "start" / "tool", ns=(10**18, 10**18))
    (home / "Enarx.toml").write_text('[[dirs]]\nguest = "/work/out"\nhost = "start"\nmode = "out"\n')
    found = run(home, "--times", "keep", "--out", f"{home}/r::/work/out", maker, stdin=SCRIPT)
    assert found.returncode == 0, found.stderr
    assert files(home / "r") == {**FILES, "old": b"old", "tool": b"#!"}
    assert os.access(home / "r" / "tool", os.X_OK)
    assert not os.access(home / "r" / "old", os.X_OK)
    assert (home / "r" / "tool").stat().st_mtime_ns == 10**18
    assert files(home / "start") == {"old": b"old", "tool": b"#!"}


def test_written_back_as_wasmtime_does(home: Path, maker: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "old").write_bytes(b"old")
    options = ("--dir", f"{home}/data::/data:rw", "--out", f"{home}/data::/data")
    refused = run(home, *options, maker, stdin=SCRIPT)
    assert (refused.returncode, b"--replace" in refused.stderr) == (125, True)
    assert run(home, *options, "--replace", maker, stdin=SCRIPT).returncode == 0
    assert files(home / "data") == {**FILES, "old": b"old"}


def test_several(home: Path, maker: Path) -> None:
    script = SCRIPT + wat.entry("w", "second", at=1)
    out = ("--out", f"{home}/1::/out", "--out", f"{home}/2::/other/place")
    assert run(home, *out, maker, stdin=script).returncode == 0
    assert (files(home / "1"), files(home / "2")) == (FILES, {"second": b"second"})


def test_an_empty_one(home: Path, maker: Path) -> None:
    assert run(home, "--out", f"{home}/r::/out", maker).returncode == 0
    assert list((home / "r").iterdir()) == []


def test_partial_results_are_named_so(home: Path, maker: Path) -> None:
    found = run(home, "--out", f"{home}/r::/out", maker, stdin=SCRIPT + wat.entry("t", ""))
    assert (found.returncode, b"the results are partial" in found.stderr) == (134, True)
    assert files(home / "r") == FILES


def test_a_guest_that_leaves_a_link(home: Path, maker: Path) -> None:
    found = run(home, "--out", f"{home}/r::/out", maker, stdin=SCRIPT + wat.entry("l", "link"))
    assert found.returncode == 137
    assert b"the results in /out cannot be returned: 'link' is neither a file nor a directory" in found.stderr
    assert not (home / "r").exists()


def test_usage(home: Path, maker: Path) -> None:
    (home / "full").mkdir()
    (home / "full" / "f").write_text("")
    (home / "ro").mkdir()
    (home / "linked").mkdir()
    (home / "linked" / "link").symlink_to("x")
    (home / "Out.toml").write_text('[[dirs]]\nguest = "/out"\nmode = "out"\n')
    (home / "Small.toml").write_text('[limits]\ndisk = "1"\n')
    (home / "two").mkdir()
    (home / "two" / "f").write_text("two")
    before = sorted(p.name for p in home.iterdir())
    for arguments, message in (
        (("--config", f"{home}/Out.toml"), "hint: --out DIR::/out"),
        (("--out", f"{home}/full::/out"), "--replace"),
        (("--out", f"{home}/full/f::/out"), "not a directory"),
        (("--out", f"{home}/no/r::/out"), "mkdir -p"),
        (("--out", "/out"), "HOST::GUEST"),
        (("--out", "r::out"), "HOST::GUEST"),
        (("--out", f"{home}/r::/out/"), "trailing slash"),
        (("--out", f"{home}/a::/out", "--out", f"{home}/b::/out"), "given twice"),
        (("--out", f"{home}/a::/out", "--out", f"{home}/a/b::/b"), "lies in"),
        (("--dir", f"{home}/ro::/out", "--out", f"{home}/r::/out"), "read-only"),
        (("--dir", f"{home}/linked::/out:rw", "--out", f"{home}/r::/out"), "link"),
        (
            ("--config", f"{home}/Small.toml", "--dir", f"{home}/two::/out:rw", "--out", f"{home}/r::/out"),
            "limits.disk",
        ),
    ):
        found = run(home, *arguments, maker)
        assert (found.returncode, message in found.stderr.decode()) == (125, True), (arguments, found.stderr)
        assert b"attestation" not in found.stderr  # nothing was delivered
    assert sorted(p.name for p in home.iterdir() if p.name not in ("state", "cache", "config")) == before


def test_deploy(home: Path, daemon: Daemon, maker: Path) -> None:
    found = daemon.deploy("--out", f"{home}/r::/out", maker, stdin=SCRIPT)
    assert found.returncode == 0, found.stderr
    assert files(home / "r") == FILES
    assert daemon.keeps() == {}


def test_a_detached_job(home: Path, daemon: Daemon, maker: Path) -> None:
    (home / "start").mkdir()
    (home / "start" / "f").write_bytes(os.urandom(3 << 20))
    (home / "Enarx.toml").write_text('[[dirs]]\nguest = "/out"\nhost = "start"\nmode = "out"\n')
    started = daemon.deploy("--detach", maker)
    keep = started.stdout.decode().strip()
    until(lambda: daemon.keeps()[keep] == "ended", "its end")
    told = daemon.keep("logs", keep)
    assert told.returncode == 0
    assert f"results in /out (1 file, {3 << 20} bytes): enarx keep logs {keep} --out DIR::/out" in told.stderr.decode()
    assert daemon.keep("logs", keep, "--out", f"{home}/x::/other").returncode == 125
    assert daemon.keep("attach", keep, "--out", f"{home}/1::/out", "--receipt", f"{home}/receipt").returncode == 0
    assert daemon.keep("logs", keep, "--out", f"{home}/2::/out", "--times", "keep").returncode == 0
    assert files(home / "1") == files(home / "2") == files(home / "start")
    assert daemon.keep("logs", keep, "--out", f"{home}/2::/out").returncode == 125
    check = ("result", "verify", home / "receipt", "--simulated-root", daemon.root, "--out")
    good = enarx(home, *check, f"{home}/2::/out", check=True)
    assert b"/out: verified" in good.stdout
    (home / "2" / "f").write_bytes(b"other")
    bad = enarx(home, *check, f"{home}/2::/out")
    assert (bad.returncode, b"is not what the workload left in /out" in bad.stderr) == (126, True)
    assert enarx(home, *check, f"{home}/1::/other").returncode == 126


def test_logs_of_a_job_that_runs(home: Path, daemon: Daemon, maker: Path) -> None:
    from tests.programs import module

    (home / "sleep.wasm").write_bytes(module("sleep"))
    keep = daemon.deploy("--detach", "--out", "r::/out", home / "sleep.wasm").stdout.decode().strip()
    found = daemon.keep("logs", keep, "--out", f"{home}/r::/out")
    assert (found.returncode, b"there are no results" in found.stderr) == (0, True)
    assert not (home / "r").exists()
    assert daemon.keep("stop", keep).returncode == 0
