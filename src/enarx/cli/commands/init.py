"""`enarx init`: a commented Enarx.toml to start from."""

from __future__ import annotations

import argparse
import os

from enarx.cli import console
from enarx.errors import UsageError
from enarx.formats.template import TEMPLATE


def init(options: argparse.Namespace) -> int:
    """Write it; never over one that is there."""
    path = os.path.join(options.directory, "Enarx.toml")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise UsageError("config-exists", f"{path}: is there already", hint="it is never overwritten") from None
    except OSError as e:
        raise UsageError("config-write", f"{path}: {e.strerror}") from e
    console.say(f"wrote {path}")
    return 0
