"""A directory that appears whole or not at all, with descriptors and without."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from enarx.errors import UsageError
from enarx.tenant import destination
from enarx.tenant.destination import Destination, require_apart

Make = Callable[..., Destination]


@pytest.fixture(params=[True, False], ids=["descriptors", "paths"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(destination, "BY_DESCRIPTOR", request.param)
    return lambda path, replace=False: Destination(str(path), replace=replace)


def fill(one: Destination) -> None:
    one.begin()
    one.directory("d", 10**18)
    one.directory("e", None)
    with one.file("deep", executable=False) as file:
        file.write(b"deep")
    one.up_to(1)
    file = one.file("x", executable=True)
    file.write(b"x")
    one.close_file(file, "x", 5 * 10**9)
    one.up_to(0)
    with one.file("top", executable=False) as file:
        file.write(b"top")


def filled(path: Path) -> bool:
    found = sorted(str(p.relative_to(path)) for p in path.rglob("*"))
    return found == ["d", "d/e", "d/e/deep", "d/x", "top"] and (path / "d/e/deep").read_bytes() == b"deep"


def left(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


@pytest.mark.parametrize("before", ["absent", "empty"])
def test_it_appears_whole(make: Make, tmp_path: Path, before: str) -> None:
    place = tmp_path / "r"
    if before == "empty":
        place.mkdir()
    one = make(place)
    one.check()
    assert left(tmp_path) == ([] if before == "absent" else ["r"])
    fill(one)
    assert not place.exists() or not any(place.iterdir())
    one.install()
    one.keep()
    assert filled(place)
    assert left(tmp_path) == ["r"]


def test_modes_and_times(make: Make, tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        one = make(tmp_path / "r")
        fill(one)
        one.install()
        one.keep()
    finally:
        os.umask(old)
    modes = {name: stat.S_IMODE((tmp_path / "r" / name).stat().st_mode) for name in (".", "d", "d/x", "top")}
    assert modes == {".": 0o700, "d": 0o700, "d/x": 0o700, "top": 0o600}
    assert (tmp_path / "r" / "d").stat().st_mtime_ns == 10**18
    assert (tmp_path / "r" / "d/x").stat().st_mtime_ns == 5 * 10**9


def test_the_umask_holds(make: Make, tmp_path: Path) -> None:
    old = os.umask(0o177)
    try:
        one = make(tmp_path / "r")
        one.begin()
        one.file("x", executable=True).close()
        one.install()
        one.keep()
    finally:
        os.umask(old)
    (tmp_path / "r").chmod(0o700)
    assert stat.S_IMODE((tmp_path / "r" / "x").stat().st_mode) == 0o600


def test_discard_leaves_everything_as_it_was(make: Make, tmp_path: Path) -> None:
    one = make(tmp_path / "r")
    fill(one)
    one.discard()
    one.discard()
    assert left(tmp_path) == []


def test_replace_replaces_the_whole(make: Make, tmp_path: Path) -> None:
    place = tmp_path / "r"
    place.mkdir()
    (place / "old").write_text("old")
    with pytest.raises(UsageError) as e:
        make(place).check()
    assert (e.value.code, "--replace" in e.value.hint) == ("out-exists", True)
    one = make(place, replace=True)
    one.check()
    fill(one)
    one.install()
    one.keep()
    assert filled(place)
    assert left(tmp_path) == ["r"]


def test_undo(make: Make, tmp_path: Path) -> None:
    place = tmp_path / "r"
    place.mkdir()
    (place / "old").write_text("old")
    one = make(place, replace=True)
    fill(one)
    one.install()
    one.undo()
    assert left(tmp_path) == ["r"]
    assert left(place) == ["old"]
    new = make(tmp_path / "n")
    fill(new)
    new.install()
    new.undo()
    assert left(tmp_path) == ["r"]


@pytest.mark.parametrize("target", ["file", "directory", "dangling"])
def test_a_link_is_no_destination(make: Make, tmp_path: Path, target: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "r").symlink_to(tmp_path / target)
    with pytest.raises(UsageError, match="not a directory") as e:
        make(tmp_path / "r").check()
    assert e.value.code == "out-path"
    with pytest.raises(UsageError):
        make(tmp_path / "r", replace=True).check()


def test_a_link_above_is_followed(make: Make, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    one = make(tmp_path / "link" / "r")
    one.check()
    fill(one)
    one.install()
    one.keep()
    assert filled(tmp_path / "real" / "r")


def test_places_that_cannot_be_replaced(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for path, where in ((".", inner), ("..", inner), (inner, inner), ("/", inner), ("~", inner)):
        monkeypatch.chdir(where)
        monkeypatch.setenv("HOME", str(tmp_path / "a"))
        with pytest.raises(UsageError) as e:
            make(os.path.expanduser(path), replace=True).check()
        assert e.value.code == "out-path"
        assert e.value.hint


def test_a_mount_point_is_none(make: Make) -> None:
    with pytest.raises(UsageError, match="mount point"):
        make("/dev/shm", replace=True).check()  # it is not written to


def test_a_missing_parent_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as e:
        make(tmp_path / "no" / "r").check()
    assert (e.value.code, e.value.hint) == ("out-write", f"make it first: mkdir -p {tmp_path}/no")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_that_cannot_be_written(make: Make, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError) as e:
        make(tmp_path / "r").check()
    tmp_path.chmod(0o700)
    assert e.value.code == "out-write"


def test_one_within_another(tmp_path: Path) -> None:
    one, two, three = (Destination(str(tmp_path / name), replace=False) for name in ("r", "r/s", "rs"))
    require_apart([one, three])
    with pytest.raises(UsageError, match="lies in"):
        require_apart([one, two])
    with pytest.raises(UsageError, match="is given for two output directories"):
        require_apart([one, Destination(f"{tmp_path}/x/../r", replace=False)])


def test_a_place_that_takes_no_directory_is_not_called_missing(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^/proc: no directory can be made in it") as e:
        make("/proc/results").check()
    assert e.value.hint == "name another place for the results"
    with pytest.raises(UsageError, match="No such file or directory") as e:
        make(tmp_path / "absent" / "results").check()
    assert e.value.hint == f"make it first: mkdir -p {tmp_path / 'absent'}"


def test_a_destination_that_fills_up_meanwhile_stays(make: Make, tmp_path: Path) -> None:
    one = make(tmp_path / "r")
    fill(one)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "new").write_text("")
    with pytest.raises(OSError, match="not empty"):
        one.install()
    one.discard()
    assert left(tmp_path) == ["r"]
    assert left(tmp_path / "r") == ["new"]


def test_a_new_directory_that_was_replaced_is_not_installed(make: Make, tmp_path: Path) -> None:
    one = make(tmp_path / "r")
    fill(one)
    (name,) = left(tmp_path)
    (tmp_path / name).rename(tmp_path / "elsewhere")
    (tmp_path / name).mkdir()
    with pytest.raises(OSError, match="another process"):
        one.install()
    one.discard()
    assert left(tmp_path) == ["elsewhere"]
