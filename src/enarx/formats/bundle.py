"""Endorsements in one file, for places that a network does not reach: JSON, each as it came, in base64."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Self

from enarx.errors import ParseError
from enarx.record import as_dict, record

WHAT = "endorsement bundle"
FORM = "endorsements"
VERSION = 1
MAX_ITEMS = 4096


@record()
class Item:
    """One endorsement: bytes as they came, what it is, where from, and when it ends (unix seconds; None: not known)."""

    what: str
    source: str
    until: int | None
    data: bytes


@record()
class Bundle:
    """Several. Nothing but `data` is ever believed, and that only once it is verified."""

    items: tuple[Item, ...]

    @classmethod
    def from_value(cls, value: dict[str, Any]) -> Self:
        """Of the JSON object. ParseError, also for one item that is malformed."""
        found, wrong = items_of(value)
        if wrong:
            raise ParseError("bundle-item", wrong[0], what=WHAT)
        return cls(items=tuple(found))

    def to_bytes(self) -> bytes:
        """As a file."""
        items = [{**as_dict(item), "data": base64.b64encode(item.data).decode()} for item in self.items]
        return json.dumps({"enarx": FORM, "version": VERSION, "items": items}, indent=1).encode() + b"\n"


def items_of(value: dict[str, Any]) -> tuple[list[Item], list[str]]:
    """The items of a bundle's JSON object that can be read, and what is wrong with the others. ParseError if it is no bundle."""
    items = value.get("items")
    if value.get("version") != VERSION or not isinstance(items, list) or len(items) > MAX_ITEMS:
        raise ParseError("bundle-form", f"wanted version {VERSION} and at most {MAX_ITEMS} items", what=WHAT)
    found, wrong = list[Item](), list[str]()
    for one in items:
        try:
            found.append(_item(one))
        except ParseError as e:
            wrong.append(e.message)
    return found, wrong


def _item(value: object) -> Item:
    match value:
        case {"what": str(what), "source": str(source), "until": int() | None as until, "data": str(text)}:
            try:
                return Item(what=what, source=source, until=until, data=base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                raise ParseError("bundle-item", f"{what[:40]!a}: wanted base64", what=WHAT) from None
    raise ParseError("bundle-item", "wanted what, source, until and data", what=WHAT)
