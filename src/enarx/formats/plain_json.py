"""JSON from strangers: whatever the bytes, a value that is safe to walk through, or a ParseError."""

from __future__ import annotations

import json
from typing import Any

from enarx.errors import ParseError

MAX_DEPTH = 32
"""Of arrays and objects: writing a value out again takes several frames of Python for each level."""


def decode(data: bytes | str, what: str) -> Any:
    """The value; ParseError also for what is nested too deep, or has a number of too many digits."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise ParseError("json", f"{what}: not JSON, or nested too deep", what=what) from e
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [item for each in level if isinstance(each, (dict, list)) for item in _items(each)]
        if not level:
            return value
    raise ParseError("json", f"{what}: nested more than {MAX_DEPTH} deep", what=what)


def _items(value: dict[str, Any] | list[Any]) -> Any:
    return value.values() if isinstance(value, dict) else value
