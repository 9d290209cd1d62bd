"""JSON from untrusted sources: a value that is safe to traverse, or a ParseError.

Python's decoder recurses as deep as the input, and converts integers of any size. Both are refused here.
"""

from __future__ import annotations

import json
from typing import Any

from enarx.errors import ParseError

MAX_DEPTH = 32
"""Levels of arrays and objects. Encoding a value again takes several Python frames for each level."""


def decode(data: bytes | str, what: str) -> Any:
    """The value of a JSON text; ParseError if it is malformed, too deep, or has a number of too many digits."""
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
