"""`enarx`: reads the command line, starts the command, turns its errors into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["run"]:
        from enarx.cli import local_host

        local_host.start_early(arguments)
    own, arguments_of_workload = _split(arguments)
    options = build_parser().parse_args(own)
    options.args = arguments_of_workload
    return _guarded(options)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Ours, and what stands after the first --: the workload's, untouched."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _guarded(options: argparse.Namespace) -> int:
    """What ends a command other than its own return."""
    import importlib

    from enarx.cli import console
    from enarx.errors import EnarxError

    try:
        module = importlib.import_module(f"enarx.cli.commands.{options.module}")
        return int(getattr(module, options.function)(options))
    except EnarxError as e:
        return console.report(e, as_json=getattr(options, "json", False))
    except KeyboardInterrupt:
        return console.EXIT_INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return console.EXIT_PIPE


def _silence_stdout() -> None:
    """Whoever read our output is gone: nothing may be written at exit either."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    from enarx.cli import parser

    return parser.build_parser()


def script() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    script()
