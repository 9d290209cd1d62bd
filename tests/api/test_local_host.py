"""The host side of `enarx.run`: how a failure of the child process reaches the program."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from enarx.api import local_host
from enarx.errors import UnavailableError


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and a runtime directory, of this test alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def launch(host: local_host.LocalHost) -> None:
    host.launch(package=bytes(32), memory=1 << 20, compile=1 << 20, disk=1 << 20, skip_layers=[])


def test_a_child_that_has_ended_is_unavailable(directories: Path) -> None:
    host = local_host.LocalHost()
    os.kill(host._pid, signal.SIGKILL)
    os.waitid(os.P_PID, host._pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(UnavailableError, check=lambda e: e.code == "host-gone"):
        launch(host)
    host.close()
    shutil.rmtree(host.directory)


def test_a_child_that_cannot_be_started_leaves_nothing(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> int:
        raise OSError(11, "no more processes")

    monkeypatch.setattr(local_host, "start_python", refused)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no more processes"):
        local_host.LocalHost()
    assert list(directories.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before
