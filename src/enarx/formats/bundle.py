"""A bundle: endorsements in one file, to be carried to machines without a network. JSON, each endorsement in base64."""

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
    """An endorsement.

    what    a description for people, such as "VCEK genoa"
    source  where it comes from
    until   when it expires, in unix seconds; None if unknown
    data    the endorsement as received
    """

    what: str
    source: str
    until: int | None
    data: bytes


@record()
class Bundle:
    """Endorsements. Only `data` is ever used, and only after verification."""

    items: tuple[Item, ...]

    @classmethod
    def from_value(cls, value: dict[str, Any]) -> Self:
        """From the JSON object. ParseError if it or any item is malformed."""
        items, wrong = items_of(value)
        if wrong:
            raise ParseError("bundle-item", wrong[0], what=WHAT)
        return cls(items=tuple(items))

    def to_bytes(self) -> bytes:
        """The bytes of the file."""
        items = [{**as_dict(item), "data": base64.b64encode(item.data).decode()} for item in self.items]
        return json.dumps({"enarx": FORM, "version": VERSION, "items": items}, indent=1).encode() + b"\n"


def items_of(value: dict[str, Any]) -> tuple[list[Item], list[str]]:
    """The well-formed items of a bundle's JSON object, and what is wrong with the others. ParseError if it is not a bundle."""
    items = value.get("items")
    if value.get("version") != VERSION or not isinstance(items, list) or len(items) > MAX_ITEMS:
        raise ParseError("bundle-form", f"wanted version {VERSION} and at most {MAX_ITEMS} items", what=WHAT)
    items_read, wrong = list[Item](), list[str]()
    for one in items:
        try:
            items_read.append(_item(one))
        except ParseError as e:
            wrong.append(e.message)
    return items_read, wrong


def _item(value: object) -> Item:
    match value:
        case {"what": str(what), "source": str(source), "until": int() | None as until, "data": str(text)}:
            try:
                return Item(what=what, source=source, until=until, data=base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                raise ParseError("bundle-item", f"{what[:40]!a}: wanted base64", what=WHAT) from None
    raise ParseError("bundle-item", "wanted what, source, until and data", what=WHAT)
