"""Homes, base directories and working directories that cannot be used: the error names what to set."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from enarx.api import local_host
from enarx.errors import UsageError
from enarx.tenant import paths
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import ENARX, PATIENCE, environment
from tests.programs import module

VARIABLES = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")


def told(where: Path, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command with these variables; HOME is `where`, and no base directory is named, unless they say so."""
    base = {name: text for name, text in environment(where).items() if name not in VARIABLES}
    return subprocess.run(
        [*ENARX, *arguments],
        capture_output=True,
        timeout=PATIENCE,
        cwd=cwd,
        env={**base, "HOME": str(where), **variables},
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def wasm(home: Path) -> str:
    (home / "hello.wasm").write_bytes(module("hello"))
    return str(home / "hello.wasm")


@pytest.mark.parametrize("given", ["", "relative", "FILE", "FILE/below"])
@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (["run", "--simulate", "WASM"], "XDG_STATE_HOME"),
        (["package", "digest", "WASM"], "XDG_CONFIG_HOME"),
        (["owner", "new"], "XDG_CONFIG_HOME"),
        (["platform"], "XDG_CACHE_HOME"),
        (["host", "serve", "--socket", "SOCKET"], "XDG_STATE_HOME"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_home_that_cannot_be_used(home: Path, wasm: str, command: list[str], variable: str, given: str) -> None:
    (home / "file").touch()
    words = {"WASM": wasm, "SOCKET": str(home / "host.sock")}
    arguments = [words.get(word, word) for word in command]
    refused = told(home, *arguments, HOME=given.replace("FILE", str(home / "file")))
    assert (refused.returncode, refused.stdout) == (125, b"")
    assert b"fault of the program" not in refused.stderr
    *_, hint = refused.stderr.decode().splitlines()
    names = {variable, "XDG_CACHE_HOME"} if command[0] == "host" else {variable}
    assert hint.startswith("hint: set HOME or XDG_")
    assert any(name in hint for name in names)
    if command[0] != "host":
        assert told(home, *arguments, **{name: str(home / name) for name in VARIABLES}, HOME=given).returncode == 0


def test_a_base_directory_that_cannot_be_used(home: Path, wasm: str) -> None:
    (home / "file").touch()
    refused = told(home, "run", "--simulate", wasm, XDG_STATE_HOME=str(home / "file" / "state"))
    assert refused.returncode == 125
    assert b"file: not a directory\nhint: set XDG_STATE_HOME to the absolute path" in refused.stderr
    assert told(home, "run", "--simulate", wasm, XDG_STATE_HOME="relative").returncode == 0, "ignored, as XDG says"
    assert not (home / "relative").exists()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UsageError, match="HOME is not set, and this user has no home directory") as caught:
        paths.state_dir()
    assert caught.value.hint.startswith("set HOME or XDG_STATE_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert paths.state_dir() == "/state/enarx"


def test_another_users_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(paths, "_user", lambda status: status.st_uid + 1)
    with pytest.raises(UsageError, match="the directory is another user's") as caught:
        paths.private_dir(paths.state_dir())
    assert caught.value.hint == "set XDG_STATE_HOME to the absolute path of a directory that you can write to"


def test_no_place_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * local_host.LONGEST_PLACE)
    long.mkdir()
    (tmp_path / "file").touch()
    assert local_host._takes_socket("/tmp")  # a place, nothing is written
    for path in (str(long), str(tmp_path / "file"), str(tmp_path / "absent"), "relative", ""):
        assert not local_host._takes_socket(path)
    monkeypatch.setattr(local_host, "_takes_socket", lambda path: False)
    with pytest.raises(UsageError, match="no place for a socket") as caught:
        local_host._private_directory()
    assert "XDG_RUNTIME_DIR" in caught.value.hint


def test_other_places_do_not_matter(home: Path, wasm: str) -> None:
    absent = str(home / "absent")
    for variables in ({"TMPDIR": absent}, {"XDG_RUNTIME_DIR": absent}, {"XDG_RUNTIME_DIR": f"/{'x' * 200}"}):
        assert told(home, "run", "--simulate", wasm, **variables).returncode == 0


def test_a_working_directory_that_is_gone(home: Path, wasm: str) -> None:
    gone = home / "gone"
    gone.mkdir()

    def there(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["bash", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(gone), *ENARX, *arguments]
        gone.mkdir(exist_ok=True)
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, env=environment(home), check=False)

    relative = there("run", "--simulate", "--dir", "data::/data", wasm)
    assert relative.returncode == 125
    assert b"fault of the program" not in relative.stderr
    assert relative.stderr.startswith(b"error: the current directory does not exist any more\nhint: cd")
    assert there("run", "--simulate", wasm).returncode == 0
