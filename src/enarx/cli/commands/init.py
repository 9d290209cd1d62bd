"""`enarx init`: write a commented Enarx.toml to start from."""

from __future__ import annotations

import argparse
import os

from enarx.cli import console
from enarx.cli.options import Parser
from enarx.errors import UsageError


def declare(parser: Parser) -> None:
    """Declare the options of `enarx init`."""
    parser.runs(init, "enarx init", "enarx init examples")
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR", help="where to write it (default: here)")


def init(options: argparse.Namespace) -> int:
    """Write an Enarx.toml that explains itself; never overwrite one. 0."""
    from enarx.formats.template import TEMPLATE

    path = os.path.join(options.directory, "Enarx.toml")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise UsageError("config-exists", f"{path}: exists", hint="it is never overwritten") from None
    except OSError as e:
        raise UsageError("config-write", f"{path}: {e.strerror}") from e
    console.say(f"wrote {path}")
    return 0
