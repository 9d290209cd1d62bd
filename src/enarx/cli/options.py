"""The parser that every command declares its options on, and the options that several commands share.

Nothing here imports a zone: help and completion answer at once, and a broken zone breaks only its own commands.

    def declare(parser: Parser) -> None:
        new = parser.action("new", new_key, "make an owner key", "enarx owner new team.pem")
        new.add_argument("file", metavar="FILE", help="where to write it")
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

USAGE = 125
"""The exit code for wrong usage, as `console.EXIT_USAGE`."""

Run = Callable[[argparse.Namespace], int]
"""What a command does: takes the parsed options, returns the exit code."""


WIDTH = 80
"""Columns that help texts fit."""


class Parser(argparse.ArgumentParser):
    """An argument parser that knows what may follow it, and exits with 125 on wrong usage.

    `words` are the long options and the fixed values that may follow; `below` are the commands that may. Completion is
    generated from both. `surplus` is the hint for arguments that nothing takes. Options are never abbreviated: an
    abbreviation would change its meaning when an option is added.
    """

    def __init__(self, **settings: Any) -> None:
        self.words: list[str] = []
        self.below: dict[str, Parser] = {}
        self.surplus = ""
        self._given: set[str] = set()
        self._subparsers_action: Any = None
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings)
        self.register("action", None, _StoreOnce)
        self.register("action", "store", _StoreOnce)

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Like argparse's, and records the words for completion."""
        self._note(names, settings)
        return super().add_argument(*names, **settings)

    def section(self, title: str, description: str | None = None) -> Section:
        """A group of options under a title of its own in the help text."""
        return Section(self, self.add_argument_group(title, description))

    def exclusive(self) -> Section:
        """A group of options of which at most one may be given."""
        return Section(self, self.add_mutually_exclusive_group())

    def sub(self, name: str, text: str, metavar: str = "ACTION") -> Parser:
        """The parser of a command below this one; `text` is its line in this one's help."""
        if self._subparsers_action is None:
            self._subparsers_action = self.add_subparsers(metavar=metavar, required=True)
        parser: Parser = self._subparsers_action.add_parser(
            name, help=text, description="\n".join(_lines(f"{text[0].upper()}{text[1:]}.", WIDTH))
        )
        self.below[name] = parser
        return parser

    def runs(self, function: Run, *examples: str) -> None:
        """Have this command run `function`; its help ends with the examples."""
        self.set_defaults(run=function)
        self.epilog = "examples:\n" + "".join(f"  {_folded(line)}\n" for line in examples)

    def action(self, name: str, function: Run, text: str, *examples: str) -> Parser:
        """A command below this one that runs `function`."""
        parser = self.sub(name, text)
        parser.runs(function, *examples)
        return parser

    def _parse_known(self, args: Any = None, namespace: Any = None) -> Any:
        """Like argparse's, but each parser refuses what it does not know, and an incomplete command shows its help."""
        self._given.clear()
        arguments = [*args] if args is not None else sys.argv[1:]
        if self.below:
            self._require_command(arguments)
        else:
            self._require_known(arguments)
        options, unknown = super().parse_known_args(arguments, namespace)
        if unknown:
            self._refuse(unknown)
        return options, unknown

    parse_known_args: Any = _parse_known  # typeshed has overloads that no override could have

    def _require_command(self, arguments: list[str]) -> None:
        if not arguments:
            self.print_help(sys.stderr)
            self.exit(USAGE)
        at = next((i for i, word in enumerate(arguments) if not word.startswith("-")), len(arguments))
        if unknown := [word for word in arguments[:at] if word not in self._option_string_actions]:
            self._refuse(unknown)
        name = arguments[at] if at < len(arguments) else ""
        if name and name not in self.below:
            near = _near(name, self.below)
            hint = f"did you mean {self.prog} {near}?" if near else f"{self.prog} --help lists the commands"
            if name.endswith((".wasm", ".wat")) and "run" in self.below:
                hint = f"to run a module: {self.prog} run {name}"
            self.error(f"{self.prog} has no command {name!r}", hint=hint)

    def _require_known(self, arguments: list[str]) -> None:
        """Report an option that does not exist before anything else: what is missing may be its value."""
        own = arguments[: arguments.index("--")] if "--" in arguments else arguments
        options = [word for word in own if word.startswith("--")]
        if unknown := [word for word in options if word.partition("=")[0] not in self._option_string_actions]:
            self._refuse(unknown)

    def _refuse(self, unknown: list[str]) -> NoReturn:
        """Report the first option that does not exist, else the first argument that nothing takes."""
        option = next((word for word in unknown if word.startswith("-")), "")
        if not option:
            self.error(f"unexpected argument {unknown[0]!r}", hint=self.surplus)
        name, given, value = option.partition("=")
        near = _near(name, self.words)
        taken = f"{near}={value}" if given else near
        hint = f"did you mean {taken}?" if near else self.surplus or self._elsewhere
        self.error(f"{self.prog} has no option {name!r}", hint=hint)

    @property
    def _elsewhere(self) -> str:
        """The hint for an option that may belong to a command below this one."""
        return f"options follow their command; {self.prog} --help" if self.below else ""

    def give(self, option: str, key: str, value: object) -> None:
        """Note that an option is given; `key` is the same for all of its names. It exits with 125 if it is given twice or empty."""
        if key in self._given:
            self.error(f"{option} is given twice, wanted once")
        if value == "":
            self.error(f"{option} has an empty value")
        self._given.add(key)

    def error(self, message: str, *, hint: str = "") -> NoReturn:
        """Like argparse's, with our exit code and error format."""
        message = message.replace(": ignored explicit argument ", " takes no value, got ")
        self.exit(USAGE, f"error: {message}\nhint: {hint or f'{self.prog} --help'}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Like argparse's, except that a stream that cannot be written raises OSError."""
        if message:
            from enarx.cli.console import printable

            stream = sys.stderr if file is None else file
            stream.write("\n".join(printable(line, stream) for line in message.split("\n")))

    def _note(self, names: tuple[str, ...], settings: dict[str, Any]) -> None:
        self.words += (name for name in names if name.startswith("--"))
        self.words += (value for value in settings.get("choices", ()) if value)


SIMILARITY = 0.65
"""The least similarity of a known word that a hint suggests, as difflib computes it: `rnu` and `run` have 0.67."""


class _StoreOnce(argparse.Action):
    """Stores a value, like argparse's `store`; an option that is given twice or is empty is wrong usage."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Implement Action: store the value in the namespace."""
        if option_string is not None:
            parser.give(option_string, self.dest, values)
        setattr(namespace, self.dest, values)


def _near(word: str, known: Iterable[str]) -> str:
    """The known word that `word` most resembles or abbreviates; empty if there is none."""
    import difflib  # only a mistake needs it

    word = word.lower()
    bare = {each.removeprefix("--"): each for each in known if each.startswith("--") == word.startswith("--")}
    word = word.removeprefix("--")
    longer = [each for each in bare if word and each.startswith(word)]
    near = longer or difflib.get_close_matches(word, list(bare), 1, SIMILARITY)
    return bare[near[0]] if near else ""


def _folded(line: str) -> str:
    """A command line, folded for a shell so that it fits the help text."""
    return " \\\n    ".join(_lines(line, WIDTH - len("      \\")))


def _lines(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` characters, as far as its words allow."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


class Section:
    """Some options of a parser, shown or checked together."""

    def __init__(self, parser: Parser, group: Any) -> None:
        self._parser = parser
        self._group = group

    def add_argument(self, *names: str, **settings: Any) -> None:
        """Like argparse's, and records the words for completion."""
        self._parser._note(names, settings)
        self._group.add_argument(*names, **settings)


def count(text: str) -> int:
    """A number of things: an argparse type."""
    return _number(text, 999_999_999)


def port(text: str) -> int:
    """A TCP port, 0 to 65535: an argparse type."""
    return _number(text, 65_535)


def _number(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > most:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: wanted a whole number from 0 to {most}")
    return int(text)


def add_json(parser: Parser, text: str = "JSON on stdout") -> None:
    """The option for machine-readable output."""
    parser.add_argument("--json", action="store_true", help=text)


def add_workload(parser: Parser) -> None:
    """The options that say what runs, the same for run, deploy and package."""
    parser.add_argument(
        "wasm", metavar="WORKLOAD.wasm", help="a core module with WASI preview 1, or its text (.wat); - is stdin"
    )
    parser.usage = f"{parser.prog} [OPTIONS] WORKLOAD.wasm [-- ARGS ...]"
    parser.surplus = f"arguments of the workload follow --: {parser.prog} WORKLOAD.wasm -- ARGS"
    parser.add_argument("--config", metavar="FILE", help="Enarx.toml (default: the one beside the workload, if any)")
    parser.add_argument("--env", action="append", default=[], metavar="K=V", help="set a variable; overrides the file")
    parser.add_argument(
        "--dir",
        action="append",
        default=[],
        metavar="HOST::GUEST[:rw]",
        help="package a directory with the workload; what it writes there does not come back: use --out",
    )
    parser.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="HOST::GUEST",
        help="GUEST is an output directory, whose content HOST gets at the end; starts with a --dir HOST::GUEST:rw, or empty",
    )
    parser.add_argument(
        "--owner", action="append", default=[], metavar="FILE", help="owner key, PEM: one private, the others public"
    )
    parser.add_argument("--salt", metavar="FILE", help="keep the package's salt here, to get the same digest again")
    parser.add_argument("--argv0", metavar="NAME", help="the workload's name for itself (default: its file name)")
    parser.add_argument(
        "--times", choices=("fixed", "keep"), default="fixed", help="modification times of files (default: one for all)"
    )
    parser.add_argument("--tty", action="store_true", help="let the workload see a terminal, this one")
    limits = parser.section("limits", "Each overrides its line under [limits] of the file.")
    limits.add_argument("--memory", metavar="SIZE", help="linear memory, such as 256MiB (default: 1GiB)")
    limits.add_argument("--time", metavar="DURATION", help="wall-clock time of the run, such as 90s (default: none)")
    limits.add_argument("--fuel", metavar="N", help="WebAssembly instructions, at half the speed (default: none)")
    limits.add_argument("--disk", metavar="SIZE", help="data written besides what is delivered (default: 64MiB)")


def add_delivery(parser: Parser) -> None:
    """The options of a command that delivers a workload and shows its result."""
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=@FILE",
        help="a secret's value: NAME=@FILE, NAME=env:VARIABLE, or NAME alone to be prompted",
    )
    parser.add_argument("--explain", action="store_true", help="show every check of the attestation")
    _add_replace(parser)
    add_json(parser, "end with one line of JSON on stderr")
    add_receipt(parser)


def add_results(parser: Parser) -> None:
    """The options of a command that fetches the results of a job."""
    parser.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="HOST::GUEST",
        help="write the content of the job's output directory GUEST to HOST",
    )
    _add_replace(parser)
    parser.add_argument(
        "--times",
        choices=("fixed", "keep"),
        default="fixed",
        help="keep: files get the times that they had in the Keep",
    )


def _add_replace(parser: Parser) -> None:
    parser.add_argument(
        "--replace", action="store_true", help="with --out: replace a HOST directory that is not empty, as a whole"
    )


def add_endpoint(parser: Parser) -> None:
    """The options that locate a host daemon and authenticate to it."""
    parser.add_argument("--host", metavar="URL", default="", help="the daemon (default: ENARX_HOST, or this machine's)")
    parser.add_argument("--token-file", metavar="FILE", default="", help="bearer token (default: ENARX_TOKEN_FILE)")
    parser.add_argument("--ca", metavar="FILE", default="", help="certificate authorities of the daemon, PEM")
    parser.add_argument("--client-cert", metavar="FILE", default="", help="your client certificate, PEM")
    parser.add_argument("--client-key", metavar="FILE", default="", help="its private key, PEM")


def add_backend(parser: Parser | Section) -> None:
    """The option that chooses the kind of Keep."""
    parser.add_argument(
        "--backend", default="auto", metavar="KIND", help="the kind of Keep (default: auto, hardware only)"
    )


def add_invitation(parser: Parser) -> None:
    """The invitation to a Keep, how to reach its host if the address in it does not work here, and what to expect."""
    parser.add_argument("invitation", metavar="INVITATION", help="the file that the coordinator sent")
    parser.add_argument("--package", metavar="HEX", default="", help="the package digest that you agreed to")
    parser.add_argument("--host", metavar="URL", default="", help="the daemon (default: the invitation's)")
    parser.add_argument("--ca", metavar="FILE", default="", help="certificate authorities of the daemon, PEM")
    parser.add_argument("--client-cert", metavar="FILE", default="", help="your client certificate, PEM")
    parser.add_argument("--client-key", metavar="FILE", default="", help="its private key, PEM")


def add_receipt(parser: Parser) -> None:
    """The option that says where to write the receipt."""
    parser.add_argument(
        "--receipt", metavar="FILE", default="", help="write a proof of the result for others (enarx result verify)"
    )


def add_verifier(parser: Parser) -> None:
    """The options that say what evidence is acceptable, for commands that verify evidence outside a deployment."""
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
    parser.add_argument("--policy", metavar="FILE", default="", help="the appraisal policy (enarx policy init)")
    parser.add_argument(
        "--endorsements",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE_OR_DIR",
        help="with --policy: DER, PEM, AMD certificate tables, JSON collateral",
    )
    parser.add_argument("--explain", action="store_true", help="show every check of the attestation")


def add_skip_layer(parser: Parser) -> None:
    """The option that lets a Keep start with fewer layers of the host's sandbox."""
    parser.add_argument(
        "--unsafe-skip-layer",
        action="append",
        default=[],
        metavar="LAYER",
        help="run although this layer of the host's sandbox is missing (see: enarx platform)",
    )
