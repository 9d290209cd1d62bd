"""`enarx inspect`: what a module needs, and whether a Keep starts it."""

from __future__ import annotations

import argparse
from typing import Any

from enarx.cli import console
from enarx.cli.options import Parser, add_json
from enarx.errors import ParseError, UsageError


def declare(parser: Parser) -> None:
    """Declare the options of `enarx inspect`."""
    parser.runs(inspect, "enarx inspect hello.wasm", "enarx inspect --json hello.wasm")
    parser.add_argument("wasm", metavar="WORKLOAD.wasm", help="a core module, or its text (.wat); - is stdin")
    add_json(parser)


def inspect(options: argparse.Namespace) -> int:
    """Show the module's outline; 0 if a Keep with default limits starts it. UsageError for anything but a core module."""
    shown, fault = _read(options)
    if options.json:
        console.show_json(shown | {"starts": fault is None, "error": None if fault is None else _error(fault)})
        return 0 if fault is None else console.EXIT_USAGE
    for row in _rows(shown):
        console.show(f"{row[0]:<11}{row[1]}")
    if fault is not None:
        return console.report(fault)
    console.show("a Keep starts it")
    return 0


def _read(options: argparse.Namespace) -> tuple[dict[str, Any], UsageError | None]:
    """The outline, and the reason for which a Keep does not start the module."""
    from enarx.api.text_format import assemble
    from enarx.cli.workload import module_of
    from enarx.formats.config import Limits
    from enarx.formats.wasm import TooLong
    from enarx.tenant import module
    from enarx.tenant.module_outline import outline

    data, name = module.read(module_of(options), assemble=assemble)
    fault = None
    try:
        module.require(data, name, memory=Limits().memory)
    except UsageError as e:
        fault = e
    try:
        return outline(data), fault
    except ParseError:
        raise fault or UsageError("wasm-malformed", f"{name}: it cannot be read to its end") from None
    except TooLong:
        raise UsageError("wasm-long", f"{name}: more sections than can be shown") from None


def _error(fault: UsageError) -> dict[str, str]:
    return {"code": fault.code, "message": fault.message, "hint": fault.hint}


def _rows(shown: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and text of every line about the module."""
    imports: dict[str, list[str]] = {}
    for each in shown["imports"]:
        imports.setdefault(each["module"], []).append(_named(each))
    makers = [f"{each['name']} {each['version']}".strip() for each in shown["producers"]]
    rows = [("size", f"{shown['size']} bytes"), ("SHA-256", shown["sha256"])]
    rows += [("imports", f"{module}: {', '.join(names)}") for module, names in imports.items()]
    rows += [("exports", ", ".join(map(_named, shown["exports"])) or "nothing")]
    rows += [("memory", _extent(each, "pages of 64 KiB")) for each in shown["memories"]]
    rows += [("table", _extent(each, "elements")) for each in shown["tables"]]
    rows += [("functions", str(shown["functions"]))]
    rows += [("sections", ", ".join(shown["custom_sections"]))] if shown["custom_sections"] else []
    return rows + ([("made by", ", ".join(makers))] if makers else [])


def _named(entry: dict[str, str]) -> str:
    name = entry["name"] or '""'
    return name if entry["kind"] == "function" else f"{name} ({entry['kind']})"


def _extent(limits: dict[str, int | None], unit: str) -> str:
    if limits["minimum"] == limits["maximum"]:
        return f"{limits['minimum']} {unit}"
    most = "" if limits["maximum"] is None else f", at most {limits['maximum']}"
    return f"{limits['minimum']} {unit} at least{most}"
