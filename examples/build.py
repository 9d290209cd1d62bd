"""Rebuild every committed .wasm from its C source with the pinned compiler. `--check` compares and replaces nothing.

python examples/build.py [--check] [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("-target", "wasm32-wasi", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2")
STRIPPED = ("-s",)
WITH_NAMES = "tests/wasi/src/trap.c"

SOURCES: dict[str, tuple[str, ...]] = {
    "examples/hello/hello.wasm": ("examples/hello/hello.c",),
    "examples/filter/filter.wasm": ("examples/filter/filter.c",),
    "examples/payroll/payroll.wasm": ("examples/payroll/payroll.c", "examples/payroll/sha256.c"),
    "examples/hospitals/stay.wasm": ("examples/hospitals/stay.c",),
    "bench/modules/compute.wasm": ("bench/modules/compute.c", "examples/payroll/sha256.c"),
}


def sources() -> dict[str, tuple[str, ...]]:
    """All modules to build: the table above, and one for each source of the WASI tests."""
    tests = {
        f"tests/wasi/bin/{path.stem}.wasm": (f"tests/wasi/src/{path.name}",)
        for path in sorted((ROOT / "tests/wasi/src").glob("*.c"))
    }
    return SOURCES | tests


def compile_c(target: Path, found: tuple[str, ...]) -> None:
    """Build one module. Paths are relative to the root, so that no path of this machine gets into it."""
    named = WITH_NAMES in found
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *(() if named else STRIPPED), *found, "-o", str(target)]
    subprocess.run(command, cwd=ROOT, check=True)
    if named:
        target.write_bytes(without_debug(target.read_bytes()))


def without_debug(module: bytes) -> bytes:
    """Drop all custom sections except function names, for which the linker has no option."""
    kept, at = module[:8], 8
    while at < len(module):
        size, start = leb128(module, at + 1)
        length, name = leb128(module, start)
        if module[at] != 0 or module[name : name + length] == b"name":
            kept += module[at : start + size]
        at = start + size
    return kept


def leb128(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number and the offset after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def main() -> int:
    """Build the named modules, or all; returns 1 if a comparison fails."""
    names = [name for name in sys.argv[1:] if name != "--check"]
    different = []
    for target, found in sources().items():
        if names and not any(name in target for name in names):
            continue
        with tempfile.TemporaryDirectory() as directory:
            built = Path(directory, "built.wasm")
            compile_c(built, found)
            data = built.read_bytes()
        committed = ROOT / target
        if "--check" in sys.argv:
            same = committed.exists() and committed.read_bytes() == data
            print(f"{'same     ' if same else 'DIFFERENT'} {target} {len(data)}")
            different += [] if same else [target]
        else:
            committed.parent.mkdir(parents=True, exist_ok=True)
            committed.write_bytes(data)
            print(f"{target} {len(data)}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
