"""`enarx policy`: the file that says which evidence a relying party accepts."""

from __future__ import annotations

import argparse
import os
import sys

from enarx.cli import console
from enarx.cli.options import Parser
from enarx.errors import UsageError

SIZES = (32, 48, 64)


def declare(parser: Parser) -> None:
    """Declare the options of `enarx policy init`."""
    starting = parser.action(
        "init",
        init,
        "write a commented policy, which refuses everything until it names a measurement",
        "enarx policy init --kind snp --measurement 00ff... snp.toml",
    )
    starting.add_argument(
        "--kind", required=True, metavar="KIND", help="the kind of TEE; an unknown one lists them all"
    )
    starting.add_argument("--measurement", action="append", default=[], metavar="HEX", help="a measurement to accept")
    starting.add_argument("file", nargs="?", default="", metavar="FILE", help="where to write it (default: stdout)")


def init(options: argparse.Namespace) -> int:
    """Write a commented policy, which refuses everything until it names a measurement. 0."""
    from enarx.verify.kinds import find
    from enarx.verify.policy_file import read_policy, template

    text = template(options.kind)
    if options.measurement:
        text = with_measurement(text, options.measurement)
    read_policy(text, "policy")
    if unmeasured := find(options.kind).unmeasured:
        console.warn(
            f"THE MEASUREMENT DOES NOT COVER THE GUEST: name {unmeasured} too, or the policy accepts any guest"
        )
    if options.file:
        _write(options.file, text)
    else:
        sys.stdout.write(text)
    return 0


def with_measurement(text: str, given: list[str]) -> str:
    """The policy with these measurements in hexadecimal in place of the zeros. UsageError for another value."""
    from enarx.formats.text import hex_bytes

    for value in given:
        try:
            hex_bytes(value, *SIZES)
        except ValueError as e:
            raise UsageError("measurement", f"--measurement {value[:40]!r}: {e}") from None
    rule = f'"{given[0]}"' if len(given) == 1 else "{ any_of = [" + ", ".join(f'"{v}"' for v in given) + "] }"
    lines = text.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("measurement = "))
    lines[at] = f"measurement = {rule}\n"
    return "".join(lines)


def _write(path: str, text: str) -> None:
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError("policy-file", f"{path}: exists", hint="an existing policy is never overwritten") from None
    except OSError as e:
        raise UsageError("policy-file", f"{path}: {e.strerror}") from e
