"""The cursor over binary formats."""

from __future__ import annotations

import pytest

from enarx.errors import ParseError
from enarx.formats.reader import Reader


def test_the_reader() -> None:
    read = Reader(b"\1\0\2ab\0\0x", "thing", code="thing")
    assert read.numbers(2, 1) == (1, 2)
    assert read.take(2) == b"ab"
    read.zeros(2)
    with pytest.raises(ParseError) as e:
        read.end()
    assert (e.value.code, e.value.offset, e.value.what) == ("thing-trailing", 7, "thing")
    assert read.rest() == b"x"
    read.end()
    for wrong in (-1, 9):
        with pytest.raises(ParseError):
            read.seek(wrong)
    read.seek(0)
    with pytest.raises(ParseError) as e:
        read.zeros(1)
    assert e.value.code == "thing-reserved"
    assert Reader(b"\0\3abc", "thing", code="thing", order="big").sized(2) == b"abc"
