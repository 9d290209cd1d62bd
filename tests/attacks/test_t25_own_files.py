"""T25: a downloaded Enarx.toml, or a careless --dir, packages private files."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import ENARX, enarx, environment
from tests.programs import module

OUTSIDE = ["/", "/etc", "..", "../", "../other", "a/../../other", "./..", "/tmp/../etc", "sub/../..", "a/.."]


@pytest.fixture
def download(home: Path) -> Path:
    """A downloaded module, with a file next to it."""
    found = home / "download"
    (found / "data").mkdir(parents=True)
    (found / "data" / "file").write_bytes(b"x")
    (found / "guest.wasm").write_bytes(module("hello"))
    (home / "other").mkdir()
    (home / "other" / "file").write_bytes(b"private")
    return found


def digest(download: Path, *more: str) -> subprocess.CompletedProcess[bytes]:
    return enarx(download.parent, "package", "digest", *more, download / "guest.wasm")


def wants(download: Path, host: str) -> None:
    (download / "Enarx.toml").write_text(f'[[dirs]]\nguest = "/d"\nhost = {host!r}\n')


@pytest.mark.parametrize("host", OUTSIDE)
def test_a_file_does_not_lead_out_of_its_directory(download: Path, host: str) -> None:
    wants(download, host)
    found = digest(download)
    assert found.returncode == 125
    assert b"hint:" in found.stderr


@pytest.mark.parametrize("target", ["/etc", "../other", "../download/../other"])
def test_nor_by_a_link(download: Path, target: str) -> None:
    (download / "link").symlink_to(target)
    wants(download, "link")
    found = digest(download)
    assert found.returncode == 125
    assert b"leads out" in found.stderr
    (download / "data" / "up").symlink_to("../../other")
    wants(download, "data/up")
    assert digest(download).returncode == 125


def test_below_it_everything_goes(download: Path) -> None:
    (download / "link").symlink_to("data")
    for host in ("data", "./data", "link", "."):
        wants(download, host)
        assert digest(download).returncode == 0


def test_the_command_line_may_name_anything(download: Path) -> None:
    assert digest(download, "--dir", f"{download.parent / 'other'}::/d").returncode == 0


@pytest.mark.parametrize("name", ["config", "state", "cache"])
@pytest.mark.parametrize("how", ["itself", "above", "far above", "within", "by a link", "bind"])
def test_our_own_directories_are_never_packaged(home: Path, download: Path, name: str, how: str) -> None:
    own = home / name / "enarx"
    (own / "within").mkdir(parents=True)
    (own / "within" / "key").write_bytes(b"secret")
    (home / "link").symlink_to(own)
    place = {"itself": own, "above": own.parent, "far above": home, "within": own / "within"}.get(how, home / "link")
    if how == "bind":
        place = own / "within" / ".." / ".." / "enarx"
    found = digest(download, "--dir", f"{place}::/d")
    assert found.returncode == 125
    assert b"never packaged" in found.stderr
    named = b"/enarx: " if how == "far above" else b"link" if how == "by a link" else name.encode()
    assert named in found.stderr


def test_nor_where_sockets_are(home: Path, download: Path) -> None:
    (home / "run" / "enarx").mkdir(parents=True)
    command = [*ENARX, "package", "digest", "--dir", f"{home}/run::/d", str(download / "guest.wasm")]
    names = environment(home) | {"XDG_RUNTIME_DIR": str(home / "run")}
    found = subprocess.run(command, env=names, capture_output=True)
    assert found.returncode == 125
    assert b"never packaged" in found.stderr


UMASKS = [0o000, 0o022, 0o077, 0o277, 0o777]


@pytest.mark.parametrize("umask", UMASKS)
def test_directories_are_private_whatever_the_umask(home: Path, download: Path, umask: int) -> None:
    names = environment(home) | {
        "XDG_CONFIG_HOME": str(home / "new" / "config"),
        "XDG_STATE_HOME": str(home / "deep" / "er"),
    }
    command = [*ENARX, "run", "--simulate", str(download / "guest.wasm")]
    found = subprocess.run(command, env=names, capture_output=True, umask=umask, timeout=60)
    assert (found.returncode, found.stdout) == (0, b"hello\n"), found.stderr
    made = [home / "new", home / "new" / "config", home / "new" / "config" / "enarx", home / "deep" / "er" / "enarx"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700] * 4
    assert stat.S_IMODE((home / "new" / "config" / "enarx" / "owner.pem").stat().st_mode) == 0o600


def test_a_directory_that_was_open_is_closed(home: Path, download: Path) -> None:
    own = home / "config" / "enarx"
    own.mkdir(parents=True)
    own.chmod(0o777)
    assert digest(download).returncode == 0
    assert stat.S_IMODE(own.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's directory")
def test_a_directory_of_another_user_is_refused(home: Path, download: Path) -> None:
    own = home / "config" / "enarx"
    own.mkdir(parents=True)
    os.chown(own, 65534, 65534)
    found = digest(download)
    assert found.returncode == 125
    assert str(own).encode() in found.stderr
    assert b"another user's" in found.stderr
