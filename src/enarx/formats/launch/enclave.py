"""The layout of an SGX enclave as a loader builds it: a description in JSON, and the content of the pages.

    {"size": 65536, "ssa_frame_size": 1, "pages": [
      {"offset": 0, "type": "tcs", "content": "tcs.bin"},
      {"offset": 4096, "type": "reg", "permissions": "rx", "content": "code.bin"},
      {"offset": 16384, "type": "reg", "permissions": "rw", "count": 4, "measured": false}]}

Pages are added in the order of the list. `content` names a file, which is padded with zeros to whole pages; `count` is
the number of pages, by default that of the content. The content of unmeasured pages is not measured (EADD without
EEXTEND).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.checks import Invalid, dotted, kind_of, one_of, text_of, whole
from enarx.formats.tables import each_of, known_keys, needs
from enarx.record import record

WHAT = "enclave layout"
MAX_TEXT = 1 << 20
PAGE, CHUNK = 4096, 256
MAX_PAGES = 1 << 18
MAX_ENCLAVE = 1 << 40
TYPES = {"tcs": 1, "reg": 2}
PERMISSIONS = {"": 0, "r": 1, "rw": 3, "rx": 5, "rwx": 7}
"""SECINFO flags: bits 0 to 2 are read, write and execute; bits 8 to 15 are the type."""


@record(hidden=("content",))
class Page:
    """Consecutive pages: the offset of the first, their number, SECINFO flags, and content."""

    offset: int
    count: int
    flags: int
    measured: bool
    content: bytes


@record()
class Enclave:
    """An enclave: its size in bytes, the pages of an SSA frame, and its pages in the order of adding."""

    size: int
    ssa_frame_size: int
    pages: tuple[Page, ...]

    @classmethod
    def from_json(cls, text: bytes, load: Callable[[str], bytes]) -> Self:
        """The layout in a JSON description; `load` returns the content that a name stands for. ParseError."""
        value: Any = None
        load = cache(load)  # many pages may share a name
        try:
            value = json.loads(text, object_pairs_hook=_once) if len(text) <= MAX_TEXT else None
        except (ValueError, RecursionError):
            value = None  # known_keys reports that it is not a table
        try:
            known_keys(value, (), ("size", "ssa_frame_size", "pages"))
            needs(value, (), "layout", "size", "ssa_frame_size", "pages")
            enclave = cls(
                size=whole(value["size"], ("size",), 2 * PAGE, MAX_ENCLAVE),
                ssa_frame_size=whole(value["ssa_frame_size"], ("ssa_frame_size",), 1, 1 << 16),
                pages=each_of(value, (), "pages", lambda item, path: _page(item, path, load)),
            )
            _check(enclave)
        except Invalid as e:
            raise ParseError("enclave-layout", f"{WHAT}: {dotted(e.path)}: {e.message}", what=WHAT) from e
        return enclave


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(table := dict(pairs)) != len(pairs):
        raise ValueError("a repeated key")
    return table


def _page(item: Any, path: tuple[str | int, ...], load: Callable[[str], bytes]) -> Page:
    known_keys(item, path, ("offset", "type", "permissions", "content", "count", "measured"))
    needs(item, path, "pages", "offset", "type")
    type = one_of(item["type"], (*path, "type"), tuple(TYPES))
    permissions = one_of(item.get("permissions", ""), (*path, "permissions"), tuple(PERMISSIONS))
    if (type == "tcs") != (permissions == ""):
        raise Invalid(path, "a tcs page has permissions, or a reg page has none")
    measured = item.get("measured", True)
    if not isinstance(measured, bool):
        raise Invalid((*path, "measured"), f"measured is {kind_of(measured)}, wanted a boolean")
    content = load(text_of(item["content"], (*path, "content"), empty=False)) if "content" in item else b""
    needed = max(1, -(-len(content) // PAGE))
    return Page(
        offset=whole(item["offset"], (*path, "offset"), 0, MAX_ENCLAVE),
        count=whole(item.get("count", needed), (*path, "count"), needed, MAX_PAGES),
        flags=TYPES[type] << 8 | PERMISSIONS[permissions],
        measured=measured,
        content=content,
    )


def _check(enclave: Enclave) -> None:
    """Require a size that is a power of two, and whole pages within it that do not overlap."""
    if enclave.size & (enclave.size - 1):
        raise Invalid(("size",), f"{enclave.size} is not a power of two")
    if sum(page.count for page in enclave.pages) > MAX_PAGES:
        raise Invalid(("pages",), f"more than {MAX_PAGES} pages")
    end = 0
    for page in sorted(enclave.pages, key=lambda page: page.offset):
        if page.offset % PAGE or page.offset < end or page.offset + page.count * PAGE > enclave.size:
            raise Invalid(("pages",), f"pages at {page.offset:#x}: unaligned, outside the enclave, or overlapping")
        end = page.offset + page.count * PAGE
