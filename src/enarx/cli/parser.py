"""The command line's top: every command with its one line of help.

A command `X` is the module `enarx.cli.commands.X`. Its `declare(parser)` adds the options and names the functions that
run; the module is loaded when its command is used, and the zones that it needs only when it runs.
"""

from __future__ import annotations

from importlib import import_module

from enarx import VERSION
from enarx.cli.options import Parser

COMMANDS = {
    "run": "run a workload in a Keep on this machine",
    "deploy": "deliver a workload to a Keep on a host, attested and encrypted",
    "keep": "list, inspect, attach to, stop and remove Keeps",
    "host": "serve Keeps on this machine",
    "platform": "show what this machine can do, and what is missing",
    "init": "write a commented Enarx.toml",
    "inspect": "show what a module needs, and whether a Keep starts it",
    "package": "show what a package contains, and its digest",
    "data": "contribute data to a Keep of somebody else's, or read its results",
    "owner": "manage owner keys, which decide who may provision a package's secrets",
    "evidence": "show and verify attestation evidence of any kind",
    "endorsements": "fetch and store the vendors' endorsements of their hardware",
    "policy": "write a file that says which evidence you accept",
    "result": "verify a receipt: what it proves about a run",
    "image": "compute what hardware measures at launch",
    "reset": "remove all local state, after asking",
    "completion": "print a shell's completion script",
    "help": "show the help of a command",
    "version": "print the version of this program",
}


def build_parser() -> Parser:
    """The parser of every command, all options declared."""
    parser = _top()
    for name, text in COMMANDS.items():
        _declare(parser, name, text)
    return parser


def parser_for(first: str) -> Parser:
    """The parser for a command line that starts with the word `first`.

    It has the options of that command alone; if `first` names no command, the commands without their options.
    """
    parser = _top()
    if first in COMMANDS:
        _declare(parser, first, COMMANDS[first])
    else:
        for name, text in COMMANDS.items():
            parser.sub(name, text, "COMMAND")
    return parser


def _top() -> Parser:
    parser = Parser(
        prog="enarx",
        description="Run WebAssembly workloads in Keeps: on machines that you do not trust.",
        epilog="examples:\n"
        "  enarx run --simulate hello.wasm\n"
        "  enarx deploy --host https://host.example:8443 --token-file token report.wasm\n"
        "  enarx keep attach KEEP\n",
    )
    parser.add_argument("-V", "--version", action="version", version=f"enarx {VERSION}")
    return parser


def _declare(parser: Parser, name: str, text: str) -> None:
    import_module(f"enarx.cli.commands.{name}").declare(parser.sub(name, text, "COMMAND"))
