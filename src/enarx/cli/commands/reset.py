"""`enarx reset`: remove everything that this program keeps on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from enarx.cli import console
from enarx.errors import UsageError
from enarx.tenant.paths import cache_dir, config_dir, state_dir


def reset(options: argparse.Namespace) -> int:
    """After asking: sessions and owner keys cannot be brought back."""
    found = [path for path in (config_dir(), state_dir(), cache_dir()) if os.path.isdir(path)]
    if not found:
        console.say("nothing to remove")
        return 0
    for path in found:
        console.say(path)
    if not options.yes and not _agreed():
        raise UsageError("not-agreed", "nothing was removed", hint="answer yes, or give --yes")
    for path in found:
        try:
            shutil.rmtree(path)
        except OSError as e:
            raise UsageError("reset", f"{e.filename or path}: {e.strerror}", hint="a link is not followed") from e
    console.say("removed")
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    console.say("remove all of it? owner keys and the results of detached jobs are lost for ever")
    return input("type yes: ") == "yes"
