"""`enarx policy`: what a relying party accepts, as a file."""

from __future__ import annotations

import argparse
import os
import sys

from enarx.errors import UsageError
from enarx.verify.policy_file import read_policy, template


def init(options: argparse.Namespace) -> int:
    """A commented policy of a kind, on stdout or into a new file. It refuses everything until it has a measurement."""
    text = template(options.kind)
    if options.measurement:
        text = _with_measurement(text, options.measurement)
    read_policy(text, "policy")
    if options.file:
        _write(options.file, text)
    else:
        sys.stdout.write(text)
    return 0


def _with_measurement(text: str, given: list[str]) -> str:
    for value in given:
        try:
            bytes.fromhex(value)
        except ValueError:
            raise UsageError("measurement", f"--measurement {value[:40]!r}: wanted hexadecimal digits") from None
    rule = f'"{given[0]}"' if len(given) == 1 else "{ any_of = [" + ", ".join(f'"{v}"' for v in given) + "] }"
    lines = text.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("measurement = "))
    lines[at] = f"measurement = {rule}\n"
    return "".join(lines)


def _write(path: str, text: str) -> None:
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as e:
        raise UsageError(
            "policy-file", f"{path}: {e.strerror}", hint="a policy that is there is not overwritten"
        ) from e
