"""Output for people and machines: errors, warnings, progress, tables, JSON. Results go to stdout, everything else to stderr.

Text may come from a host or from an attacker's evidence, so everything for a terminal goes through `printable`. The JSON
encoder escapes control characters itself.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from enarx.errors import (
    AppraisalError,
    BackendError,
    DeliveryError,
    EnarxError,
    ParseError,
    UnavailableError,
    UsageError,
    VerificationError,
)

SLOW = 2.0
"""Seconds after which a user wonders what a command is doing."""

EXIT_TIME, EXIT_USAGE, EXIT_REFUSED, EXIT_UNDECIDED = 124, 125, 126, 127
EXIT_INTERRUPTED, EXIT_TRAP, EXIT_KILLED, EXIT_PIPE = 130, 134, 137, 141

_EXITS: tuple[tuple[type[EnarxError], int], ...] = (
    (UsageError, EXIT_USAGE),
    (UnavailableError, EXIT_UNDECIDED),
    (AppraisalError, EXIT_REFUSED),
    (VerificationError, EXIT_REFUSED),
    (BackendError, EXIT_REFUSED),
    (DeliveryError, EXIT_REFUSED),
    (ParseError, EXIT_REFUSED),
)

STATUS_EXITS = {
    "trap": EXIT_TRAP,
    "time": EXIT_TIME,
    "memory": EXIT_KILLED,
    "output": EXIT_KILLED,
    "stopped": EXIT_KILLED,
    "refused": EXIT_REFUSED,
    "failed": EXIT_REFUSED,
}


def exit_code(e: EnarxError) -> int:
    """The exit code for an error, by its class."""
    return next(code for kind, code in _EXITS if isinstance(e, kind))


def coloured() -> bool:
    """Whether stderr takes colours: it is a terminal, and NO_COLOR is not set."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def printable(text: str, stream: TextIO) -> str:
    """The text, with each character that could drive a terminal, or that the stream cannot encode, as an escape."""
    from enarx.formats.text import printable as escaped  # here, as declaring commands loads no zone

    shown = escaped(text)
    encoding = stream.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def say(line: str, *, colour: str = "") -> None:
    """Print one line on stderr. A newline at its start is kept; other control characters are escaped."""
    start = "\n" if line.startswith("\n") else ""
    line = start + printable(line[len(start) :], sys.stderr)
    text = f"\033[{colour}m{line}\033[0m" if colour and coloured() else line
    print(text, file=sys.stderr, flush=True)


def warn(line: str) -> None:
    """Print a warning that stands out on stderr."""
    say(f"warning: {line}", colour="33;1")


def note(line: str) -> None:
    """Print a line about something that the user may want to act on."""
    say(f"note: {line}")


def report(e: EnarxError, *, as_json: bool = False) -> int:
    """Show an error, and return the exit code that goes with it."""
    code = exit_code(e)
    if as_json:
        print(json.dumps({"error": {"code": e.code, "message": e.message, "hint": e.hint}, "termination": "error"}))
    say(f"error: {e.message}", colour="31;1")
    if isinstance(e, BackendError):
        for name, missing, remedy in e.checks:
            say(f"  {name}: {missing}; remedy: {remedy}")
    if e.hint:
        say(f"hint: {e.hint}")
    return code


def show_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps(value, indent=2, sort_keys=True))


def show(line: str) -> None:
    """Print one line on stdout, for people."""
    print(printable(line, sys.stdout))


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """Print rows in aligned columns on stdout."""
    shown = [[printable(cell, sys.stdout) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in shown) for i in range(len(header))]
    for row in shown:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class Progress:
    """A progress bar on a terminal, a line every five seconds elsewhere; silent for the first second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._start = 0.0
        self._shown = 0.0

    def __call__(self, done: int, size: int) -> None:
        """Show that `done` of `size` bytes are sent."""
        now = time.monotonic()
        self._start = self._start or now  # a question may have come before
        bar = sys.stderr.isatty()
        if now - self._start < 1 or (done < size and now - self._shown < (0.1 if bar else 5)):
            return
        self._shown = now
        text = f"{self._what}: {done >> 20} of {size >> 20} MiB, {100 * done // max(size, 1)} %"
        if bar:
            filled = 30 * done // max(size, 1)
            text = f"\r{text} [{'#' * filled}{'.' * (30 - filled)}]"
        sys.stderr.write(text + ("" if bar and done < size else "\n"))  # at once: another thread may print an error
        sys.stderr.flush()


class Notice:
    """A line about work that takes long, on stderr: shown after SLOW seconds, unless `end` is called before, or `over` is true."""

    def __init__(self, line: str, over: Callable[[], bool] = lambda: False) -> None:
        import threading  # the commands that wait for a Keep have loaded it

        self._line, self._over = line, over
        self._timer = threading.Timer(SLOW, self._show)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Note that the work has ended: the line is not shown any more."""
        self._timer.cancel()

    def _show(self) -> None:
        if not self._over():
            say(self._line)


def counted(number: int, thing: str) -> str:
    """A number with the thing that it counts, in the plural unless it is 1: "1 file", "0 files"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def utc(seconds: int) -> str:
    """A time in unix seconds as RFC 3339 text, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def expiry(expires: int | None, what: str | None) -> str:
    """When a result expires and what ends then, for people."""
    return "no input of this verdict expires" if expires is None else f"{utc(expires)}: {what}"
