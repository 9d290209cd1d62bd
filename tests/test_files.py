"""Atomic writes: complete or absent, private, durable, and never over a file that must stay."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from enarx import files
from enarx.files import write_atomically


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "name"
    write_atomically(str(path), b"first")
    write_atomically(str(path), b"second")
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["name"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_mode_is_exact_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o137)
    try:
        write_atomically(str(tmp_path / "name"), b"", mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "name").stat().st_mode) == mode


def test_relative_to_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    directory = os.open("below", os.O_RDONLY)
    try:
        write_atomically("name", b"data", dir_fd=directory)
        with pytest.raises(FileExistsError):
            write_atomically("name", b"other", dir_fd=directory, new=True)
    finally:
        os.close(directory)
    assert (tmp_path / "below" / "name").read_bytes() == b"data"
    assert os.listdir(tmp_path / "below") == ["name"]


def test_new_keeps_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "name"
    write_atomically(str(path), b"first", new=True)
    with pytest.raises(FileExistsError):
        write_atomically(str(path), b"second", new=True)
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["name"]


@pytest.mark.parametrize("taken", [False, True])
def test_new_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "name"
    if taken:
        path.symlink_to("nowhere")
        with pytest.raises(FileExistsError):
            write_atomically(str(path), b"data", new=True)
        assert path.is_symlink()
    else:
        write_atomically(str(path), b"data", new=True)
        assert path.read_bytes() == b"data"
    assert os.listdir(tmp_path) == ["name"]


def test_a_link_under_the_name_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "name").symlink_to("target")
    write_atomically(str(tmp_path / "name"), b"ours")
    assert (tmp_path / "target").read_bytes() == b"theirs"
    assert not (tmp_path / "name").is_symlink()


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "name"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(OSError, match="full"):
        write_atomically(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["name"]


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(files.os, "write", lambda fd, data: write(fd, bytes(data)[:3]))
    write_atomically(str(tmp_path / "name"), b"0123456789")
    assert (tmp_path / "name").read_bytes() == b"0123456789"


@pytest.mark.parametrize(("sync", "kinds"), [(True, [stat.S_IFREG, stat.S_IFDIR]), (False, [])])
def test_file_and_then_directory_are_synchronised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: bool, kinds: list[int]
) -> None:
    synchronised: list[int] = []
    fsync = os.fsync

    def record(fd: int) -> None:
        synchronised.append(stat.S_IFMT(os.fstat(fd).st_mode))
        fsync(fd)

    monkeypatch.setattr(files.os, "fsync", record)
    write_atomically(str(tmp_path / "name"), b"data", sync=sync)
    assert synchronised == kinds


@pytest.mark.parametrize(("number", "raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_only_a_directory_that_cannot_be_synchronised_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: bool
) -> None:
    fsync = os.fsync

    def fail(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(number, "directory")
        fsync(fd)

    monkeypatch.setattr(files.os, "fsync", fail)
    if raised:
        with pytest.raises(OSError, match="directory"):
            write_atomically(str(tmp_path / "name"), b"data")
    else:
        write_atomically(str(tmp_path / "name"), b"data")
    assert (tmp_path / "name").read_bytes() == b"data"
