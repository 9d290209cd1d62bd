from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime

import enarx
from enarx.errors import DeliveryError, UnavailableError, UsageError
from enarx.formats.config import Config
from enarx.image.contents import DISTRIBUTIONS, EXTENSIONS, OWN_FILES, PROFILES, code_paths, files, require
from enarx.tenant.package import build
from tests.attacks import shared
from tests.attacks.real import Machine, finish
from tests.verifier import measured

OLD = """(module
  (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 0))))"""

SOURCE = str(Path(enarx.__file__).parent.parent)
SEARCH = (SOURCE, *(p for p in sys.path if p.endswith(("site-packages", "dist-packages")) and p != SOURCE))

LOADED = """
import importlib, pkgutil, sys
sys.path[:0] = sys.argv[1].split(":")
import enarx.keep
for module in pkgutil.walk_packages(enarx.keep.__path__, "enarx.keep."):
    importlib.import_module(module.name)
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None) or "")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with packages of the right names, one file each."""
    tmp_path = tmp_path / "tree"
    for name in ("enarx", *DISTRIBUTIONS):
        put(tmp_path / name / "__init__.py", name)
    for name in OWN_FILES:
        put(tmp_path / (f"{name}__init__.py" if name.endswith("/") else name), name)
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_keep_loads_nothing_from_the_code_paths_but_what_is_measured() -> None:
    """Compare the allow-list with Python: load all of keep and delivery with the search path of a Keep."""
    paths = code_paths(SEARCH)
    arguments = [sys.executable, "-I", "-S", "-c", LOADED, ":".join(paths)]
    loaded = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split("\n")
    measured = {os.path.realpath(path) for path in files(SEARCH).values()}
    ours = {os.path.realpath(path) for path in loaded if path.startswith(paths)}
    assert len(ours) > 100
    assert ours <= measured


def test_nothing_is_in_it_that_is_not_the_keeps() -> None:
    names = set(files(SEARCH))
    tops = {name.split("/")[0].split(".")[0] for name in names}
    assert tops <= {"enarx", *DISTRIBUTIONS, *EXTENSIONS}
    for zone in ("verify", "host", "simulator", "tenant", "cli", "image"):
        assert not any(name.startswith(f"enarx/{zone}") for name in names)
    assert not any(name.endswith(".pyc") for name in names)


def test_names_are_those_in_the_image_and_paths_those_here(tree: Path) -> None:
    found = files((str(tree),))
    assert found["enarx/keep/__init__.py"] == f"{tree}/enarx/keep/__init__.py"
    assert found["cbor2/__init__.py"] == f"{tree}/cbor2/__init__.py"


def test_code_counts_and_nothing_else(tree: Path) -> None:
    put(tree / "cbor2" / "_native.so", "")
    put(tree / "cbor2" / "data.json", "")
    put(tree / "cbor2" / "__pycache__" / "x.cpython-311.pyc", "")
    put(tree / "cbor2" / "__pycache__" / "x.py", "")
    put(tree / "enarx" / "host" / "daemon.py", "")
    put(tree / "_cffi_backend.abi3.so", "")
    put(tree / "_cffi_backendish.so", "")
    put(tree / "other.so", "")
    names = {name for name in files((str(tree),)) if not name.endswith("__init__.py")}
    assert {name for name in names if not name.startswith("enarx/")} == {"cbor2/_native.so", "_cffi_backend.abi3.so"}
    assert "enarx/host/daemon.py" not in names


def test_what_lies_behind_a_link_is_loaded_and_counts(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    put(elsewhere / "hidden.py", "")
    (tree / "enarx" / "keep" / "more").symlink_to(elsewhere)
    assert "enarx/keep/more/hidden.py" in files((str(tree),))


def test_the_first_directory_wins_as_it_does_in_imports(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    shadow = tmp_path_factory.mktemp("shadow")
    put(shadow / "cbor2" / "__init__.py", "")
    put(tree / "cbor2" / "more.py", "")
    search = (str(shadow), str(tree))
    assert code_paths(search) == search
    assert code_paths(search[::-1]) == (str(tree),)
    assert files(search)["cbor2/__init__.py"] == f"{shadow}/cbor2/__init__.py"
    assert "cbor2/more.py" not in files(search)


def test_a_directory_that_is_not_there_is_passed_over(tree: Path) -> None:
    assert files((str(tree / "absent"), str(tree))) == files((str(tree),))


@pytest.mark.parametrize("name", ["a", "z"])
def test_the_order_of_the_search_is_kept(tree: Path, name: str) -> None:
    """Otherwise a package in two directories could be loaded from one and measured in the other."""
    first = tree.parent / name
    put(first / "wasmtime" / "__init__.py", "")
    assert code_paths((str(tree.parent / "unused"), str(first), str(tree))) == (str(first), str(tree))


@pytest.mark.parametrize("name", ["enarx", *DISTRIBUTIONS])
def test_a_missing_package_is_said_with_a_remedy(tree: Path, name: str) -> None:
    (tree / name / "__init__.py").unlink()
    for ask in (code_paths, files, require):
        with pytest.raises(UsageError, match=f"{name} is not installed") as caught:
            ask((str(tree), str(tree / "absent")))
        assert "pip install 'enarx[host]'" in caught.value.hint


def test_a_directory_that_can_not_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnavailableError, match="Permission denied"):
        files((str(tree),))


def test_a_keep_without_a_profile_works_and_refuses_what_needs_it(tmp_path: Path) -> None:
    """The files of a profile can be left out: the measurement is another, and nothing else misses them."""
    shutil.copytree(f"{SOURCE}/enarx", tmp_path / "code" / "enarx", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (name for names in PROFILES.values() for name in names):
        (tmp_path / "code" / name).unlink()
    machine = Machine(tmp_path / "machine", tmp_path / "code")
    try:
        assert machine.measured != measured()
        built, wire = machine.package("hello"), machine.keep()
        result, shown = finish(wire, machine.deliver(wire, built))
        assert (result.status.cause, shown) == ("exit", b"hello\n")
        with pytest.raises(DeliveryError, match="manifest-providers"):
            machine.deliver(machine.keep(), shared.package())
        (tmp_path / "old.wasm").write_bytes(wasmtime.wat2wasm(OLD))
        old = build(str(tmp_path / "old.wasm"), Config(), owners=machine.owners.public, salt=bytes(32), secrets={})
        wire = machine.keep()
        result, _ = finish(wire, machine.deliver(wire, old))
        assert result.status.cause == "failed"
        assert "wasi_unstable::proc_exit" in result.status.message
    finally:
        machine.close()
