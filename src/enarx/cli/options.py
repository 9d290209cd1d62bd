"""What the parsers of several commands share. Nothing here imports a zone."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

USAGE = 125
Sub = Any  # argparse's sub-parser action has no public name


class Parser(argparse.ArgumentParser):
    """Errors of usage end with 125 and end in one line of help, as every other error does."""

    def error(self, message: str) -> NoReturn:
        """As argparse, with our exit code."""
        self.exit(USAGE, f"error: {message}\nhint: {self.prog} --help\n")


def command(commands: Sub, name: str, function: str, text: str, *examples: str) -> Parser:
    """A command of its own: its function as module:function, what it does, examples."""
    module, _, function = function.partition(":")
    parser: Parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n" + "".join(f"  {line}\n" for line in examples) if examples else None,
    )
    parser.set_defaults(module=module, function=function)
    return parser


def count(text: str) -> int:
    """A number of things, for argparse."""
    return _number(text, 999_999_999)


def port(text: str) -> int:
    """A port of TCP, for argparse."""
    return _number(text, 65_535)


def _number(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > most:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: wanted a whole number from 0 to {most}")
    return int(text)


def endpoint(parser: Parser) -> None:
    """What says where a daemon is, and how it knows us."""
    parser.add_argument("--host", metavar="URL", default="", help="the daemon (default: ENARX_HOST, or this machine's)")
    parser.add_argument("--token-file", metavar="FILE", default="", help="bearer token (default: ENARX_TOKEN_FILE)")
    parser.add_argument("--ca", metavar="FILE", default="", help="certificate authorities of the daemon, PEM")
    parser.add_argument("--client-cert", metavar="FILE", default="", help="our certificate, PEM")
    parser.add_argument("--client-key", metavar="FILE", default="", help="its key, PEM")


def receipt(parser: Parser) -> None:
    """Where a receipt is to be written."""
    parser.add_argument(
        "--receipt", metavar="FILE", default="", help="write what proves the result to others (enarx result verify)"
    )


def judge(parser: Parser) -> None:
    """What says whom to believe, for commands that judge evidence outside a deployment."""
    parser.add_argument(
        "--simulated-root", metavar="FILE", default="", help="accept simulated evidence under this root"
    )
    parser.add_argument(
        "--measurement",
        action="append",
        default=[],
        metavar="HEX",
        help="with --simulated-root: accept this Keep image (default: this release's)",
    )
    parser.add_argument("--policy", metavar="FILE", default="", help="what is acceptable (enarx policy init)")
    parser.add_argument(
        "--endorsements",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE_OR_DIR",
        help="with --policy: DER, PEM, AMD certificate tables, JSON collateral",
    )
    parser.add_argument("--explain", action="store_true", help="show every check of the attestation")


def unsafe(parser: Parser) -> None:
    """What of the host's sandbox may be missing."""
    parser.add_argument(
        "--unsafe-skip-layer",
        action="append",
        default=[],
        metavar="LAYER",
        help="run although this layer of the host's sandbox is missing (see: enarx platform)",
    )
