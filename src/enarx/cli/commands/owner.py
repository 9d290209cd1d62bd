"""`enarx owner`: the keys that decide who may provision a package's secrets."""

from __future__ import annotations

import argparse
import os

from enarx.cli import console
from enarx.cli.options import Parser


def declare(parser: Parser) -> None:
    """Declare the options of `enarx owner new` and `enarx owner show`."""
    making = parser.action("new", new, "make an owner key", "enarx owner new", "enarx owner new team.pem")
    showing = parser.action(
        "show", show, "print an owner's public key", "enarx owner show", "enarx owner show team.pem"
    )
    for each in (making, showing):
        each.add_argument("file", nargs="?", default="", metavar="FILE", help="the key's file (default: your own)")


def new(options: argparse.Namespace) -> int:
    """Make a key pair in a new file and print its public half; 0."""
    from enarx.tenant import owners
    from enarx.tenant.paths import private_dir

    path = options.file or owners.default_path()
    if not options.file:
        private_dir(os.path.dirname(path))
    public = owners.create(path)
    console.say(f"wrote {path} (keep it secret)")
    print(owners.public_pem(public), end="")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the public half, PEM, for others to name as an owner; 0."""
    from enarx.tenant import owners

    print(owners.public_pem(owners.read_public(options.file or owners.default_path())), end="")
    return 0
