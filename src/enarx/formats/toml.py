"""TOML with positions: the value that tomllib parses, and the place of each key in the text.

tomllib decides what is TOML. `_Places` only walks over texts that tomllib has accepted, so it can be simple. Before
tomllib runs, `_require_simple` refuses texts that would make it slow or recurse too deep. Afterwards depth and integers
are bounded, so users of a value need not care.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from enarx.errors import UsageError
from enarx.formats.checks import MAX_ITEMS, dotted

Path = tuple[str | int, ...]
Where = Callable[[Path], tuple[int, int]]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_STRINGS = re.compile(  # possessive, because backtracking costs memory for each character
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}|' + r"'''(?:[^']++|'(?!''))*+'{3,5}|"
    r'(?!""")"(?:[^"\\]++|\\.)*+"|' + r"(?!''')'[^']*+'",
    re.DOTALL,
)
_SKIP = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_BLANK = re.compile(r"[ \t]*")
_LONG = re.compile(r"(?:\d_?+){1000}")
_PIECE = re.compile(rf"#[^\n]*|(?:{_STRINGS.pattern})|[.\n=,\[\]{{}}\"']", re.DOTALL)

MAX_DEPTH = 32
"""Levels of tables and arrays in a value; also the parts of a dotted key."""
TOO_DEEP = f"nested more than {MAX_DEPTH} deep"


def loads(text: str, source: str) -> tuple[dict[str, Any], Where]:
    """The value of a TOML text, and a function from a path to its line and column, both counted from 1; UsageError.

    A path that is not in the text has the place of the nearest table above it.
    """
    text = text.replace("\r\n", "\n")
    try:
        return _read(text, source)
    except _TooMuch as e:
        raise UsageError("config-toml", "{}:{}:{}: {}".format(source, *_place(text, e.at), e.message)) from None


class _TooMuch(Exception):
    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at, self.message = at, message


def _read(text: str, source: str) -> tuple[dict[str, Any], Where]:
    _require_simple(text)
    value = _parsed(text, source)
    places = _Places(text).walk()

    def at(path: Path) -> int:
        while path and path not in places:
            path = path[:-1]
        return places.get(path, 0)

    for path, item in _items(value, ()):
        if type(item) is int and item.bit_length() > 64:
            raise _TooMuch(at(path), f"{dotted(path)} is an integer of more than 64 bits")
    return value, lambda path: _place(text, at(path))


def _require_simple(text: str) -> None:
    """Refuse deep brackets and long keys, up to the first byte that is not TOML, where tomllib stops too."""
    depth = dots = 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece in ('"', "'"):
            return  # an unterminated string
        if piece == ".":
            dots += 1
            if dots >= MAX_DEPTH:
                raise _TooMuch(match.start(), f"a key of more than {MAX_DEPTH} parts")
        elif piece in "\n=,[]{}":
            dots = 0
            depth += (piece in "[{") - (piece in "]}")
            if depth > MAX_DEPTH:
                raise _TooMuch(match.start(), TOO_DEEP)


def _items(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    """Every item of a value with its path, the value itself included."""
    open_: list[Iterator[tuple[Path, object]]] = [iter(((path, value),))]
    while open_:
        item = next(open_[-1], None)
        if item is None:
            open_.pop()
            continue
        yield item
        path, below = item
        if isinstance(below, (dict, list)):
            open_.append(_below(path, below))


def _below(path: Path, value: dict[str, Any] | list[Any]) -> Iterator[tuple[Path, object]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key), item


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        match = re.search(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", str(e), re.DOTALL)
        message, line, column = match.groups() if match else (str(e), None, None)
        place = f"{line}:{column}" if line else "{}:{}".format(*_place(text, len(text)))
        raise UsageError("config-toml", f"{source}:{place}: not TOML: {message[:1].lower()}{message[1:]}") from None
    except ValueError:  # from int(), which limits the number of digits
        number = _LONG.search(text)
        place = "{}:{}".format(*_place(text, number.start() if number else 0))
        raise UsageError("config-toml", f"{source}:{place}: not TOML: an integer of too many digits") from None


def _place(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


class _Places:
    """One walk over a valid text; `places` maps paths to offsets."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counts: dict[Path, int] = {}
        self.places: dict[Path, int] = {}

    def walk(self) -> dict[Path, int]:
        """Visit every key and return `places`."""
        table: Path = ()
        while True:
            self._skip(_SKIP)
            if self._at >= len(self._text):
                return self.places
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _mark(self, path: Path, at: int) -> None:
        if len(path) > MAX_DEPTH:
            raise _TooMuch(at, TOO_DEEP)
        while path and path not in self.places:  # the paths above a marked one are marked
            self.places[path] = at
            path = path[:-1]

    def _header(self) -> Path:
        start, many = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        path = self._resolve(self._key())
        self._at += 2 if many else 1
        if many:
            count = self._counts[path] = self._counts.get(path, -1) + 1
            self.places.setdefault(path, start)
            path = (*path, count)
        self._mark(path, start)
        return path

    def _resolve(self, key: Path) -> Path:
        """The path of a header: its key, with the last index of each array of tables that it passes through."""
        path: Path = ()
        for i, part in enumerate(key):
            path = (*path, part)
            if i < len(key) - 1 and path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            quoted = self._text[self._at] in "\"'"
            part = self._skip(_STRINGS if quoted else _BARE)
            parts.append(next(iter(tomllib.loads(f"{part} = 0"))) if quoted else part)
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return tuple(parts)
            self._at += 1

    def _pair(self, table: Path) -> None:
        start = self._at
        path = (*table, *self._key())
        self._mark(path, start)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_SKIP)
        opening = self._text[self._at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline(path)
        elif opening in "\"'":
            self._skip(_STRINGS)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_SKIP)
            if self._text[self._at] == "]":
                self._at += 1
                return
            if index <= MAX_ITEMS:  # longer arrays are refused, and the place of the array will do
                self._mark((*path, index), self._at)
            self._value((*path, index))
            index += 1
            self._skip(_SKIP)
            if self._text[self._at] == ",":
                self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while True:
            self._skip(_SKIP)
            if self._text[self._at] == "}":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
            else:
                self._pair(path)
