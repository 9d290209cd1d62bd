"""`enarx reset`: remove everything that this program stores on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from enarx.cli import console
from enarx.cli.options import Parser
from enarx.errors import UsageError


def declare(parser: Parser) -> None:
    """Declare the options of `enarx reset`."""
    parser.runs(reset, "enarx reset")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def reset(options: argparse.Namespace) -> int:
    """Remove it after asking, because sessions and owner keys cannot be recovered; 0."""
    from enarx.tenant.paths import cache_dir, config_dir, state_dir

    directories = [path for path in (config_dir(), state_dir(), cache_dir()) if os.path.isdir(path)]
    if not directories:
        console.say("nothing to remove")
        return 0
    for path in directories:
        console.say(path)
    if not options.yes and not _confirmed():
        raise UsageError("not-agreed", "nothing was removed", hint="answer yes, or give --yes")
    for path in directories:
        try:
            shutil.rmtree(path)
        except OSError as e:
            raise UsageError("reset", f"{e.filename or path}: {e.strerror}", hint="a link is not followed") from e
    if sys.platform == "linux":
        from enarx.host import cgroups

        cgroups.clear_leftovers(os.path.join(state_dir(), "host", "hardware"))
    console.say("removed")
    return 0


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    console.say("remove all of it? owner keys and the results of detached jobs cannot be recovered")
    return input("type yes: ") == "yes"
