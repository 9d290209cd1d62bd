"""What a program or a command line adds to a configuration, and what becomes of it in the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from enarx.api.workloads import workload
from enarx.errors import UsageError
from enarx.formats.config import Config, Limits
from enarx.formats.package import FIXED_TIME, Head, decode_index
from tests.programs import module


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    (tmp_path / "guest.wasm").write_bytes(module("cat"))
    return tmp_path


def args(source: Path | bytes, **options: Any) -> tuple[str, ...]:
    built, _ = workload(source, **options).build()
    return Head.from_bytes(built.head, built.manifest).args


def test_the_first_argument_is_the_modules_file_name(home: Path) -> None:
    assert args(home / "guest.wasm") == ("guest.wasm",)
    assert args(home / "guest.wasm", args=["-v"]) == ("guest.wasm", "-v")
    assert args(module("cat")) == ("main.wasm",)


@pytest.mark.parametrize("name", ["busybox", "", "a b", "/bin/\u00e9"])
def test_another_name(home: Path, name: str) -> None:
    assert args(home / "guest.wasm", args=["ls"], argv0=name) == (name, "ls")


def test_a_file_name_that_is_not_utf_8(home: Path) -> None:
    path = home / "\udcff.wasm"
    path.write_bytes(module("cat"))
    with pytest.raises(UsageError, check=lambda e: e.code == "argv0" and "--argv0" in e.hint):
        args(path)
    assert args(path, argv0="name") == ("name",)


@pytest.mark.parametrize("times", ["fixed", "keep"])
def test_times(home: Path, times: str) -> None:
    (home / "data").mkdir()
    (home / "data" / "file").write_bytes(b"x")
    built, _ = workload(home / "guest.wasm", dirs={"/data": home / "data"}, times=times).build()
    (node,) = decode_index(built.indexes[0])
    assert (node.mtime == FIXED_TIME) == (times == "fixed")


def test_a_terminal_is_public_and_changes_the_digest(home: Path) -> None:
    manifests = [workload(home / "guest.wasm", salt=bytes(32), tty=tty).build()[0].manifest for tty in (True, False)]
    assert [manifest.config.tty for manifest in manifests] == [True, False]
    assert manifests[0].digest != manifests[1].digest


def test_limits_override_the_files(home: Path) -> None:
    (home / "Enarx.toml").write_text('[limits]\nmemory = "8MiB"\ntime = "1s"\nopen_files = 20\n')
    changes = {"memory": "16MiB", "time": 2, "fuel": 10**12, "disk": "1kB"}
    built, _ = workload(home / "guest.wasm", limits=changes).build()
    wanted = Limits(memory=16 << 20, time=2.0, fuel=10**12, disk=1000, open_files=20)
    assert built.manifest.config.limits == wanted
    assert workload(home / "guest.wasm").build()[0].manifest.config.limits.memory == 8 << 20


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"memory": "1"}, "limits.memory"),
        ({"memory": "lots"}, "limits.memory"),
        ({"time": 0}, "limits.time"),
        ({"time": "3x"}, "limits.time"),
        ({"fuel": "many"}, "limits.fuel"),
        ({"fuel": 0}, "limits.fuel"),
        ({"disk": -1}, "limits.disk"),
        ({"memroy": 1}, "memroy"),
    ],
)
def test_wrong_limits_are_named(home: Path, limits: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, check=lambda e: said in e.message):
        workload(home / "guest.wasm", limits=limits).build()


@pytest.mark.parametrize(
    ("name", "value"), [("argv0", 7), ("times", "never"), ("times", None), ("tty", 1), ("limits", [1]), ("limits", "x")]
)
def test_arguments_of_wrong_types(home: Path, name: str, value: object) -> None:
    with pytest.raises(UsageError, check=lambda e: e.code == "argument" and name in e.message):
        workload(home / "guest.wasm", **{name: value})  # type: ignore[arg-type]


def test_a_name_is_as_secret_as_the_arguments(home: Path) -> None:
    what = workload(home / "guest.wasm", argv0="canary")
    assert "canary" not in repr(what)
    assert b"canary" not in what.build()[0].manifest.raw


def test_a_configuration_object_is_changed_too(home: Path) -> None:
    config = Config(limits=Limits(memory=1 << 20))
    built, _ = workload(home / "guest.wasm", config=config, limits={"time": "1s"}, tty=True).build()
    assert built.manifest.config == Config(limits=Limits(memory=1 << 20, time=1.0), tty=True)
