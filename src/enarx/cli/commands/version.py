"""`enarx version`: the version of this program."""

from __future__ import annotations

import argparse

from enarx.cli import console
from enarx.cli.options import Parser


def declare(parser: Parser) -> None:
    """Declare the options of `enarx version`, of which there is only --help."""
    parser.runs(show, "enarx version")


def show(_: argparse.Namespace) -> int:
    """Print the version, as `enarx --version` does; 0."""
    from enarx import VERSION

    console.show(f"enarx {VERSION}")
    return 0
