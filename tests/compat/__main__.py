"""Compare real programs in Keeps with the wasmtime command, and print a table.

    python -m tests.compat [NAME ...]

Exit code 1 if anything differs, or if a package is missing.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.compat.compare import USAGE, Job, Outcome, both, differences, in_a_keep
from tests.compat.packages import Missing, listed
from tests.compat.programs import PROGRAMS, REFUSED, Program, Refused
from tests.e2e.harness import environment

HEADINGS = ("program", "language", "package", "version", "shows", "same", "exit", "files", "time")


def unexpected(program: Program, peer: Outcome) -> list[str]:
    """How the wasmtime command's outcome differs from the table: then equality would prove nothing."""
    found = []
    if peer.code != program.code:
        found.append(f"exit code: got {peer.code}, wanted {program.code}: {peer.stderr[-300:]!r}")
    if program.contains not in peer.stdout:
        found.append(f"stdout: got {peer.stdout[:200]!r}, wanted {program.contains!r} in it")
    if len(peer.files) != program.writes:
        found.append(f"files: got {len(peer.files)}, wanted {program.writes}")
    return found


def compare(program: Program, place: Path) -> tuple[list[str], tuple[str, ...]]:
    """The differences of a program, and its row of the table."""
    peer, ours = both(program.job(), place, environment(place))
    wrong = [f"wasmtime: {each}" for each in unexpected(program, peer)]
    wrong += differences(peer, ours, traps=program.traps)
    ratio = f"{ours.seconds:.1f} s / {peer.seconds:.1f} s = {ours.seconds / peer.seconds:.1f}"
    return wrong, row(program, "no" if wrong else "yes", str(ours.code), str(len(ours.files)), ratio)


def refuse(refused: Refused, place: Path) -> tuple[list[str], tuple[str, ...]]:
    """What is wrong with the refusal of a module, and its row."""
    ours = in_a_keep(Job(refused.module()), place, environment(place))
    errors = [line for line in ours.stderr.decode().splitlines() if line.startswith("error:")]
    wrong = []
    if ours.code != USAGE or not any(refused.names in line for line in errors):
        wrong.append(f"got exit code {ours.code} and {errors}, wanted {USAGE} and an error with {refused.names!r}")
    return wrong, row(refused, "no" if wrong else "refused", str(ours.code), "", f"{ours.seconds:.1f} s")


def row(program: Program | Refused, *ends: str) -> tuple[str, ...]:
    """The program's cells, then those of its outcome."""
    version = listed()[program.package].version
    return (program.name, program.language, program.package, version, program.shows, *ends)


def main(names: list[str]) -> int:
    """Compare the named programs, or all of them."""
    rows, failed = [HEADINGS, tuple("---" for _ in HEADINGS)], 0
    for program in (*PROGRAMS, *REFUSED):
        if names and program.name not in names:
            continue
        print(f"{program.name}: {program.shows}", file=sys.stderr, flush=True)
        try:
            with tempfile.TemporaryDirectory(prefix="enarx-compat-") as place:
                check = compare if isinstance(program, Program) else refuse
                wrong, cells = check(program, Path(place))  # type: ignore[arg-type]  # chosen by its type
        except Missing as missing:
            wrong, cells = [str(missing)], row(program, "missing", "", "", "")
        rows.append(cells)
        failed += bool(wrong)
        for each in wrong:
            print(f"  {each}", file=sys.stderr, flush=True)
    for cells in rows:
        print("| " + " | ".join(cells) + " |")
    print(f"{len(rows) - 2 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("ENARX_COMPAT_DOWNLOAD", "1")
    sys.exit(main(sys.argv[1:]))
