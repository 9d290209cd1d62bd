"""Foreign text and hexadecimal digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.formats.text import hex_bytes, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("naïve ☃", "naïve ☃"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("line\nline\r\t", "line\\nline\\r\\t"),
        ("left\u202eright", "left\\u202eright"),
        ("\udc80\U000e0001", "\\udc80\\U000e0001"),
    ],
)
def test_what_could_drive_a_terminal_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_always_printable(text: str) -> None:
    assert printable(text).isprintable()


@given(st.binary(max_size=64))
def test_hexadecimal_digits_of_any_case(data: bytes) -> None:
    assert hex_bytes(data.hex()) == hex_bytes(data.hex().upper(), len(data)) == data


@pytest.mark.parametrize("text", ["0", "0g", "00 ", "00 00", " 0000", "0x00", "\u0660\u0660", "00\n"])
def test_nothing_but_digits(text: str) -> None:
    with pytest.raises(ValueError, match=r"^wanted hexadecimal digits$"):
        hex_bytes(text)


def test_only_the_sizes_that_are_wanted() -> None:
    assert hex_bytes("00" * 48, 32, 48) == bytes(48)
    with pytest.raises(ValueError, match=r"^wanted 32 or 48 bytes in hexadecimal digits$"):
        hex_bytes("00" * 47, 32, 48)
