"""Run a program by the wasmtime command and by `enarx run --simulate`, and compare what the two leave behind.

Both sides get the same module, arguments, variables, standard input and files: a directory as `/in`, and an empty one as
`/out`, whose content comes back. A program passes if stdout, stderr, exit code and the files in `/out` are equal, and if
they are what the table expects: two sides that fail alike prove nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import wasmtime

PATIENCE = 580
"""Seconds for one run: compiling 49 MB on a busy machine takes minutes."""

ENARX = str(Path(sys.executable).parent / "enarx")
USAGE = 125
"""The exit code of `enarx` for a module that cannot run."""


@dataclass(frozen=True)
class Job:
    """The inputs of a program. `files` lie in `/in`; a `bytes` value is a file, a `Path` a directory or file to copy."""

    module: Path
    arguments: tuple[str, ...] = ()
    stdin: bytes = b""
    files: dict[str, bytes | Path] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """More options of `enarx run`, such as limits that the wasmtime command does not have."""


@dataclass(frozen=True)
class Outcome:
    """The end of a run: the guest's own bytes and code, a digest for each file in `/out`, and the seconds it took."""

    stdout: bytes
    stderr: bytes
    code: int
    files: dict[str, str]
    seconds: float
    stderr_size: int | None = None
    """The guest's bytes on stderr by the Keep's proven count; `stderr` also has the command's own lines."""


def tree(directory: Path) -> dict[str, str]:
    """Each path below a directory: `dir`, or the digest of the file; with `+x` if its owner may execute it."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_dir():
            found[name] = "dir"
        else:
            executable = "+x" if path.stat().st_mode & 0o100 else ""
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:16] + executable
    return found


def prepare(job: Job, place: Path) -> Path:
    """Lay the inputs below `place`: `in`, an empty `out`, and the module under its own name."""
    (place / "in").mkdir(parents=True)
    for name, content in job.files.items():
        target = place / "in" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        elif content.is_dir():
            shutil.copytree(content, target)
        else:
            shutil.copyfile(content, target)
    module = place / job.module.name
    shutil.copyfile(job.module, module)
    return module


def by_wasmtime(job: Job, place: Path) -> Outcome:
    """The run by the wasmtime command, which has no cache and compiles as the Keep does."""
    module = prepare(job, place)
    (place / "out").mkdir()
    variables = [option for each in job.variables for option in ("--env", each)]
    directories = ["--dir", f"{place}/in::/in", "--dir", f"{place}/out::/out"]
    command = [wasmtime(), "run", "-C", "cache=n", *directories, *variables, str(module), *job.arguments]
    start = time.perf_counter()
    ran = subprocess.run(command, input=job.stdin, capture_output=True, timeout=PATIENCE, env={})
    return Outcome(ran.stdout, ran.stderr, ran.returncode, tree(place / "out"), time.perf_counter() - start)


def in_a_keep(job: Job, place: Path, environment: dict[str, str]) -> Outcome:
    """The run by `enarx run --simulate --json`, whose last line on stderr has the Keep's own counts."""
    module = prepare(job, place)
    variables = [option for each in job.variables for option in ("--env", each)]
    directories = ["--dir", f"{place}/in::/in", "--out", f"{place}/out::/out"]
    command = [
        ENARX,
        "run",
        "--simulate",
        "--json",
        *directories,
        *variables,
        *job.options,
        str(module),
        "--",
        *job.arguments,
    ]
    start = time.perf_counter()
    ran = subprocess.run(command, input=job.stdin, capture_output=True, timeout=PATIENCE, env=environment)
    seconds = time.perf_counter() - start
    size = None
    lines = ran.stderr.splitlines()
    if lines and lines[-1].startswith(b'{"termination"'):
        status = json.loads(lines[-1])["status"]
        size = status["stderr"] if status else None
    files = tree(place / "out") if (place / "out").is_dir() else {}
    return Outcome(ran.stdout, ran.stderr, ran.returncode, files, seconds, size)


def same_stderr(theirs: bytes, ours: Outcome) -> bool:
    """The guest's bytes on stderr are the peer's: as many by the Keep's count, and present in one piece."""
    return ours.stderr_size == len(theirs) and theirs in ours.stderr


def differences(peer: Outcome, ours: Outcome, *, traps: bool = False) -> list[str]:
    """What differs, each with both values in short. A trap's report is the command's, so its stderr is not compared."""
    found = []
    if peer.stdout != ours.stdout:
        found.append(f"stdout: {short(peer.stdout)} under wasmtime, {short(ours.stdout)} in a Keep")
    if not traps and not same_stderr(peer.stderr, ours):
        found.append(
            f"stderr: {short(peer.stderr)} under wasmtime, {ours.stderr_size} bytes in a Keep: {short(ours.stderr)}"
        )
    if peer.code != ours.code:
        found.append(f"exit code: {peer.code} under wasmtime, {ours.code} in a Keep: {short(ours.stderr)}")
    if peer.files != ours.files:
        names = sorted(set(peer.files.items()) ^ set(ours.files.items()))
        found.append(f"files: {len(peer.files)} under wasmtime, {len(ours.files)} in a Keep, different: {names[:4]}")
    return found


def short(data: bytes) -> str:
    """The length and the first difference-prone bytes of an output, for a message."""
    return f"{len(data)} bytes {data[:200]!r}"


def both(job: Job, place: Path, environment: dict[str, str]) -> tuple[Outcome, Outcome]:
    """The outcomes of a job on both sides, in directories of their own below `place`."""
    sides = place / "wasmtime", place / "keep"
    try:
        return by_wasmtime(job, sides[0]), in_a_keep(job, sides[1], environment)
    finally:
        for side in sides:
            shutil.rmtree(side, ignore_errors=True)
