"""Sizes and durations as people write them, such as 64MiB and 1.5s."""

from __future__ import annotations

from typing import Any

from enarx.errors import UsageError
from enarx.formats.config import MAX_BYTES, MAX_SECONDS

SIZE_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
TIME_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _number(text: str, units: dict[str, Any], what: str, example: str) -> tuple[float, Any]:
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(digits) :].strip()
    try:
        if not digits.replace(".", "", 1).isascii() or not digits.replace(".", "", 1).isdigit():
            raise ValueError(digits)
        return float(digits), units[unit if unit in units else unit.upper()]
    except (ValueError, KeyError):
        raise UsageError(what, f"{text!r} is not a {what}", hint=f"as {example}") from None


def parse_size(text: str) -> int:
    """The bytes that a size such as 64MiB, 1GiB, 500kB or 4096 stands for; UsageError."""
    number, factor = _number(text, SIZE_UNITS, "size", "64MiB, 1GiB, 500kB or 4096")
    if number * factor > MAX_BYTES:
        raise UsageError("size", f"{text!r} is more than {MAX_BYTES >> 40} TiB", hint="as 64MiB, 1GiB, 500kB or 4096")
    if number * factor % 1:
        raise UsageError("size", f"{text!r} is not a whole number of bytes", hint="as 64MiB, 1GiB, 500kB or 4096")
    return int(number * factor)


def parse_duration(text: str) -> float:
    """The seconds that a duration such as 250ms, 1s, 2m or 1h stands for; UsageError."""
    number, factor = _number(text, TIME_UNITS, "duration", "250ms, 1s, 2m or 1h")
    if not 0.001 <= number * factor <= MAX_SECONDS:
        raise UsageError("duration", f"{text!r}, wanted 1ms to {MAX_SECONDS}s", hint="as 250ms, 1s, 2m or 1h")
    return float(number * factor)
