"""`enarx owner`: the keys that say who may give a package its secrets."""

from __future__ import annotations

import argparse

from enarx.cli import console
from enarx.tenant import owners


def new(options: argparse.Namespace) -> int:
    """Make a key; its private half stays in the file."""
    path = options.file or owners.default_path()
    public = owners.create(path)
    console.say(f"wrote {path} (keep it secret)")
    print(owners.public_pem(public), end="")
    return 0


def show(options: argparse.Namespace) -> int:
    """The public half, for others to name as an owner."""
    print(owners.public_pem(owners.read_public(options.file or owners.default_path())), end="")
    return 0
