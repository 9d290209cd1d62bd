"""Values of claims that are more than bytes, numbers and text, and how values are rendered as text and as JSON."""

from __future__ import annotations

from typing import Any

from enarx.record import as_dict, record


@record()
class Unknown:
    """Stands for a claim whose value could not be determined. Only the matcher `Unchecked` accepts it."""

    reason: str


@record(kw_only=False)
class Bits:
    """A bit mask. Greater or equal means that it has all bits of the other; other bits may be set as well."""

    mask: int

    def __ge__(self, other: object) -> bool:
        return isinstance(other, Bits) and self.mask & other.mask == other.mask

    def text(self) -> str:
        """The mask in hexadecimal digits."""
        return f"{self.mask:#x}"


def show(value: object) -> str:
    """A value as text for people: bytes in hexadecimal; a type with a `text` method renders itself."""
    if isinstance(value, Unknown):
        return "unknown"
    text = getattr(value, "text", None)
    return str(plain(value)) if text is None else str(text())


def plain(value: object) -> Any:
    """A value in the form for JSON: bytes in hexadecimal, records and named tuples as objects, an unknown value as None.

    A type with a `text` method is rendered as that text, a type with a `to_value` method as that value.
    """
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Unknown):
        return None
    if hasattr(value, "text"):
        return show(value)
    to_value, as_dict_of_tuple = getattr(value, "to_value", None), getattr(value, "_asdict", None)
    if to_value is not None:
        return to_value()
    if as_dict_of_tuple is not None:
        return {name: plain(item) for name, item in as_dict_of_tuple().items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return as_dict_plain(value) if hasattr(value, "__fields__") else value


def as_dict_plain(value: object) -> dict[str, Any]:
    """The fields of a record, each in the form for JSON."""
    return {name: plain(item) for name, item in as_dict(value).items()}
