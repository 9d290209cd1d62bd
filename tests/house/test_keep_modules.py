"""A Keep contains exactly the modules on its allow-list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import wasmtime

from enarx.api.local_host import code_paths
from enarx.image.contents import DISTRIBUTIONS, OWN_FILES, PROFILES, files
from enarx.image.contents import code_paths as keep_paths

NATIVE = {"_cffi_backend", "_openssl"}
"""Modules that cryptography's native code creates, and its dependency cffi."""


def loaded() -> set[str]:
    """The modules of a fully loaded zygote, from which every Keep is forked."""
    code = "import sys; sys.path[:0] = sys.argv[1].split(':'); import enarx.keep.boot.process; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, ":".join(keep_paths(tuple(code_paths())))]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_only_what_is_allowed() -> None:
    names = loaded() - {"__main__"}
    foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"enarx", *DISTRIBUTIONS}
    assert {name for name in foreign if not name.startswith("_distutils")} <= NATIVE
    measured = files(tuple(code_paths()))
    for name in names:
        if name.split(".")[0] == "enarx":
            path = name.replace(".", "/")
            assert {f"{path}.py", f"{path}/__init__.py"} & set(measured), f"{name} is loaded and not measured"


def test_no_zone_but_the_keeps() -> None:
    zones = {name.split(".")[1] for name in loaded() if name.startswith("enarx.")}
    assert zones == {"errors", "record", "formats", "delivery", "keep"}


def test_nothing_that_a_keep_has_no_business_with() -> None:
    assert not loaded() & {"asyncio", "subprocess", "http", "ssl", "urllib.request", "inspect", "dis", "pickle", "json"}


def test_measured_files_are_all_there_is() -> None:
    measured = files(tuple(code_paths()))
    assert all(Path(path).is_file() for path in measured.values())
    own = {name for name in measured if name.startswith("enarx/")}
    allowed = (*OWN_FILES, *(name for names in PROFILES.values() for name in names))
    assert all(any(name == entry or name.startswith(entry) for entry in allowed) for name in own)
    library = Path(wasmtime.__file__).parent
    assert any(path.startswith(str(library)) and path.endswith(".so") for path in measured.values())
