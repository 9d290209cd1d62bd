"""T24: an attacker changes a directory while it is packaged. No file from outside is sealed, and no read blocks."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from enarx.errors import UsageError
from enarx.formats.config import Config, Dir
from enarx.tenant import package, tree
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import ENARX, enarx, environment, run
from tests.exchange import OWNER, public
from tests.programs import module

SECRET = b"outside" * 1000


@pytest.fixture
def data(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to package, with a sub-directory and files; the files next to it are outside."""
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    (home / "guest.wasm").write_bytes(module("hello"))
    (home / "outside").mkdir()
    (home / "outside" / "file").write_bytes(SECRET)
    found = home / "data"
    (found / "sub").mkdir(parents=True)
    (found / "file").write_bytes(b"inside!" * 1000)
    (found / "sub" / "file").write_bytes(b"inside!" * 1000)
    return found


def build(data: Path) -> package.Package:
    config = Config().replace(dirs=(Dir(guest="/data", host=str(data)),))
    wasm = str(data.parent / "guest.wasm")
    return package.build(wasm, config, owners=(public(OWNER),), salt=bytes(32), secrets={})


def sealed(built: package.Package) -> bytes:
    return b"".join(bytes(piece) for piece, _ in built.chunks())


def link_for_directory(data: Path) -> None:
    (data / "sub").rename(data.parent / "moved")
    (data / "sub").symlink_to(data.parent / "outside")


def link_for_file(data: Path) -> None:
    (data / "sub" / "file").unlink()
    (data / "sub" / "file").symlink_to(data.parent / "outside" / "file")


def directory_of_others(data: Path) -> None:
    (data / "sub").rename(data.parent / "moved")
    (data.parent / "outside").rename(data / "sub")


def pipe(data: Path) -> None:
    (data / "sub" / "file").unlink()
    os.mkfifo(data / "sub" / "file")


def directory_for_file(data: Path) -> None:
    (data / "sub" / "file").unlink()
    (data / "sub" / "file").mkdir()


def gone(data: Path) -> None:
    (data / "sub" / "file").unlink()


def shorter(data: Path) -> None:
    (data / "sub" / "file").write_bytes(b"short")


def longer(data: Path) -> None:
    with (data / "sub" / "file").open("ab") as file:
        file.write(b"more")


def rewritten(data: Path) -> None:
    time.sleep(0.01)
    (data / "sub" / "file").write_bytes(b"another" * 1000)


CHANGES = [
    link_for_directory,
    link_for_file,
    directory_of_others,
    pipe,
    directory_for_file,
    gone,
    shorter,
    longer,
    rewritten,
]


@pytest.mark.parametrize("change", CHANGES)
def test_between_hashing_and_sending(data: Path, change: Callable[[Path], None]) -> None:
    built = build(data)
    assert b"inside!" in sealed(built)
    change(data)
    with pytest.raises(UsageError, check=lambda e: e.code in ("files-changed", "dir-file")):
        sealed(built)


@pytest.mark.parametrize("change", CHANGES)
def test_between_looking_and_hashing(
    data: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes after `sub/file` was examined and before it is opened."""
    look = tree._Walk.look

    def then_change(walk: tree._Walk, at: tuple[str, ...]) -> os.stat_result:
        found = look(walk, at)
        if at == ("sub", "file"):
            change(data)
        return found

    monkeypatch.setattr(tree._Walk, "look", then_change)
    try:
        built = build(data)
    except UsageError as e:
        assert e.code in ("files-changed", "dir-file")
    else:  # the directory is held open, so that the file in it is the one before
        assert change in (link_for_directory, directory_of_others)
        monkeypatch.undo()
        with pytest.raises(UsageError):
            sealed(built)


def test_a_directory_that_is_swapped_before_it_is_listed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tree._Walk.names

    def changed_first(walk: tree._Walk, at: tuple[str, ...], wanted: tree.Identity) -> list[str]:
        if at == ("sub",):
            directory_of_others(data)
        return names(walk, at, wanted)

    monkeypatch.setattr(tree._Walk, "names", changed_first)
    with pytest.raises(UsageError, check=lambda e: e.code == "files-changed"):
        build(data)


def test_a_race_never_seals_what_is_outside(data: Path) -> None:
    """Swap a directory and a link for a second, as fast as possible."""
    over = threading.Event()

    def swap() -> None:
        os.symlink(data.parent / "outside", data.parent / "link")
        while not over.is_set():
            (data / "sub").rename(data.parent / "kept")
            (data.parent / "link").rename(data / "sub")
            (data / "sub").rename(data.parent / "link")
            (data.parent / "kept").rename(data / "sub")

    thread = threading.Thread(target=swap)
    thread.start()
    end, done, refused = time.monotonic() + 1, 0, 0
    while time.monotonic() < end:
        try:
            assert SECRET[:100] not in sealed(build(data))
            done += 1
        except UsageError:
            refused += 1
    over.set()
    thread.join()
    assert done + refused > 5


def test_a_file_that_grows_all_the_time_ends(data: Path) -> None:
    over = threading.Event()

    def write() -> None:
        with (data / "log").open("ab") as file:
            while not over.is_set():
                file.write(b"x" * 65536)
                file.flush()
                if file.tell() > 256 << 20:
                    file.truncate(0)

    thread = threading.Thread(target=write)
    thread.start()
    refused = 0
    try:
        for _ in range(20):
            try:
                sealed(build(data))
            except UsageError:
                refused += 1
    finally:
        over.set()
        thread.join()
    assert refused


SPECIAL = {
    "pipe": lambda path: os.mkfifo(path),
    "device": lambda path: os.symlink("/dev/zero", path),
    "terminal": lambda path: os.symlink("/dev/tty", path),
    "directory": lambda path: os.mkdir(path),
    "link to itself": lambda path: os.symlink(path, path),
}


def refuses(home: Path, *arguments: str | Path) -> bytes:
    found = enarx(home, *arguments)
    assert found.returncode == 125, found
    assert found.stderr.startswith(b"error: ")
    assert b"fault of the program" not in found.stderr
    return found.stderr


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("role", ["module", "--config", "--salt", "--owner", "--secret", "the file beside"])
def test_pipes_and_devices_are_not_waited_for(home: Path, kind: str, role: str) -> None:
    wasm, odd = home / "guest.wasm", home / ("Enarx.toml" if role == "the file beside" else "odd")
    wasm.write_bytes(module("hello"))
    SPECIAL[kind](odd)
    if role == "the file beside" and kind == "link to itself":
        pytest.skip("a link to nothing is no file beside the module")
    if role == "module":
        refuses(home, "package", "digest", odd)
    elif role == "--secret":
        found = run(home, "--secret", f"key=@{odd}", wasm)
        assert found.returncode == 125
        assert b"key" in found.stderr
    elif role == "the file beside":
        refuses(home, "package", "digest", wasm)
    elif role == "--salt" and kind == "link to itself":
        assert enarx(home, "package", "digest", role, odd, wasm).returncode == 0  # it is replaced
    else:
        assert str(odd).encode() in refuses(home, "package", "digest", role, odd, wasm)


ROOTS = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")


@pytest.mark.parametrize("kind", ["pipe", pytest.param("device", marks=ROOTS)])
def test_a_pipe_in_a_directory(home: Path, data: Path, kind: str) -> None:
    SPECIAL[kind](data / "odd") if kind == "pipe" else os.mknod(data / "odd", 0o20600, os.makedev(1, 5))
    assert b"odd" in refuses(home, "package", "digest", "--dir", f"{data}::/d", home / "guest.wasm")


def test_levels(home: Path, data: Path) -> None:
    deep = data
    for _ in range(63):
        deep = deep / "d"
        deep.mkdir()
    (deep / "f").write_bytes(b"x")
    command = [*ENARX, "package", "digest", "--dir", f"{data}::/d", str(home / "guest.wasm")]
    subprocess.run(command, env=environment(home), check=True, capture_output=True)
    (deep / "d").mkdir()
    (deep / "d" / "f").write_bytes(b"x")
    assert b"levels" in refuses(home, *command[1:])
    fd = os.open(deep / "d", os.O_RDONLY)
    for _ in range(2000):  # deeper than a path can be long
        os.mkdir("d", dir_fd=fd)
        fd, before = os.open("d", os.O_RDONLY, dir_fd=fd), fd
        os.close(before)
    os.close(fd)
    assert b"levels" in refuses(home, *command[1:])
    subprocess.run(["rm", "-rf", str(data)], check=True)
