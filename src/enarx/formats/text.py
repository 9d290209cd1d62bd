"""Foreign text, and bytes as hexadecimal digits."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with each character that could drive a terminal as an escape: `\\x1b`, `\\u202e`."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def hex_bytes(text: str, *sizes: int) -> bytes:
    """The bytes that hexadecimal digits stand for, of one of the `sizes`; of any size if there are none.

    Nothing but digits, in either case: `bytes.fromhex` alone also takes spaces. ValueError, whose text says what is wanted.
    """
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(text) != 2 * len(data) or (sizes and len(data) not in sizes):
        size = f"{' or '.join(map(str, sizes))} bytes in " if sizes else ""
        raise ValueError(f"wanted {size}hexadecimal digits")
    return data
