"""How the Keeps of a host are listed: as a table for people, and as JSON with the same fields for every Keep.

A host reports these values, and nothing in them is proven. Values of a wrong type are shown as missing.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

from enarx.cli import console

HEADER = ("KEEP", "NAME", "STATE", "STARTED", "PACKAGE", "KIND", "OURS")
TEXTS = ("id", "name", "kind", "state", "package_digest", "declared_package")
TIMES = ("created", "started", "ended")
SIZES = ("memory", "disk")
NONE = "0" * 64
"""The package digest of a Keep from the pool, which was launched for no package in particular."""

DIGITS = 12
"""Digits of a package digest in the table."""

MAX_TIME = 1 << 37
"""Unix seconds, over 4000 years: what the time functions of every system take."""

UNITS = ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (MAX_TIME, 86_400, "days"))
"""Up to how many seconds a time is shown in a unit, the seconds in the unit, and its name."""


def values(keep: dict[str, Any], *, ours: bool) -> dict[str, Any]:
    """The JSON value of one Keep: times in RFC 3339, an empty text or null for what the host does not report."""
    value: dict[str, Any] = {name: _text(keep.get(name)) for name in TEXTS}
    value |= {name: console.utc(int(keep[name])) if _is_time(keep.get(name)) else None for name in TIMES}
    value |= {name: keep[name] if type(keep.get(name)) is int else None for name in SIZES}
    return value | {"ours": ours}


def show(listed: list[dict[str, Any]], ours: set[str]) -> None:
    """Print the table. On a terminal, long names are shortened so that a row fits a line."""
    rows = [_row(keep, ours=keep["id"] in ours) for keep in listed]
    if sys.stdout.isatty():
        _fit(rows, shutil.get_terminal_size().columns)
    console.table(rows, HEADER)


def _row(keep: dict[str, Any], *, ours: bool) -> list[str]:
    bound, declared = _text(keep.get("package_digest")), _text(keep.get("declared_package"))
    package = declared if bound in ("", NONE) else bound
    started = ago(time.time() - keep["started"]) if _is_time(keep.get("started")) else ""
    texts = [_text(keep.get(name)) for name in ("id", "name", "state")]
    return [*texts, started, package[:DIGITS], _text(keep.get("kind")), "yes" if ours else ""]


def _fit(rows: list[list[str]], width: int) -> None:
    """Shorten the names in place until the table fits the width, but not below eight characters."""
    at = HEADER.index("NAME")
    widths = [max(len(row[i]) for row in (HEADER, *rows)) for i in range(len(HEADER))]
    room = max(8, width - (sum(widths) - widths[at]) - 2 * (len(HEADER) - 1))
    for row in rows:
        if len(row[at]) > room:
            row[at] = f"{row[at][: room - 3]}..."


def ago(seconds: float) -> str:
    """How long ago something was, as text, such as `5 min ago`."""
    seconds = max(0.0, seconds)
    size, name = next((size, name) for most, size, name in UNITS if seconds < most)
    return f"{int(seconds // size)} {name} ago"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < MAX_TIME
