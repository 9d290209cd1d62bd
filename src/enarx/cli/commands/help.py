"""`enarx help`: the help of a command, as its --help shows it."""

from __future__ import annotations

import argparse

from enarx.cli.options import Parser


def declare(parser: Parser) -> None:
    """Declare the arguments of `enarx help`."""
    parser.runs(show, "enarx help run", "enarx help keep attach")
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="a command, and its action if it has several")


def show(options: argparse.Namespace) -> int:
    """Print the help of the command, or the list of all commands; 0."""
    from enarx.cli.parser import parser_for

    parser = parser_for(options.words[0] if options.words else "")
    parser.parse_args([*options.words, "--help"])  # prints the help and exits with 0, or refuses the command
    return 0
