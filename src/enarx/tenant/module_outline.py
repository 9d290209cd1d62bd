"""What a module needs and where it comes from, as plain values: for people, and for programs that check many modules."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any

from enarx.errors import ParseError
from enarx.formats import wasm

MOST = 10_000
"""Imports, exports, memories or tables that are listed."""


def outline(data: bytes) -> dict[str, Any]:
    """The outline of a core module, as values for JSON. ParseError, wasm.TooLong.

    Sizes are in bytes, those of memories in pages of 64 KiB, those of tables in elements. `tables` ends at the first table
    with an initializer. `producers` names the tools that made the module, by their own account.
    """
    module = wasm.Module.from_bytes(data)
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "imports": [{"module": i.module, "name": i.name, "kind": i.kind} for i in islice(module.imports(), MOST)],
        "exports": [{"name": name, "kind": kind} for name, kind in islice(module.exports(), MOST)],
        "memories": [_size(each) for each in islice(module.memories(), MOST)],
        "tables": [_size(each) for each in islice(module.tables(), MOST) if each is not None],
        "functions": module.count(wasm.FUNCTION),
        "start": wasm.START in module.spans,
        "custom_sections": [name for name, _, _ in module.customs[:MOST]],
        "producers": _producers(module),
    }


def _size(limits: wasm.Limits) -> dict[str, int | None]:
    return {"minimum": limits.minimum, "maximum": limits.maximum}


def _producers(module: wasm.Module) -> list[dict[str, str]]:
    try:
        every = list(islice(module.producers(), MOST))
    except ParseError:
        return []
    return [{"field": field, "name": name, "version": version} for field, name, version in every]
