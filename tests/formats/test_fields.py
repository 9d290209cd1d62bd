"""Typed fields of decoded objects: each reader returns one type, and an error names path, got and wanted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from enarx.errors import ParseError
from enarx.formats.fields import Fields, json_object

VALUE = {
    "text": "abc",
    "lines": "a\nb",
    "number": 5,
    "binary": b"\1\2",
    "hex": "0Aff",
    "inner": {"array": [1, 2], "each": [{"n": 1}, {"n": 2}]},
    1: True,
}


def fields(value: object = VALUE) -> Fields:
    return Fields(value, "thing", code="thing")


def test_values_come_back_as_their_types() -> None:
    read = fields()
    assert (read.text("text"), read.lines("lines"), read.number("number", 6)) == ("abc", "a\nb", 5)
    assert (read.binary("binary", (2, 3)), read.binary("binary", range(1, 3))) == (b"\1\2", b"\1\2")
    assert read.hex("hex", 2) == b"\x0a\xff"
    assert read.inner("inner").array("array") == [1, 2]
    assert read.inner("inner").each("each", lambda item: item.number("n", 3)) == (1, 2)
    assert (read.get(1), read.get("missing"), "text" in read, "missing" in read) == (True, None, True, False)
    assert read.names == set(VALUE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.text("number"), "number: got 5, wanted a printable text of at most 1048576 characters"),
        (lambda f: f.text("lines"), "lines: got 'a\\nb', wanted a printable text of at most 1048576 characters"),
        (lambda f: f.text("text", longest=2), "text: got 'abc', wanted a printable text of at most 2 characters"),
        (lambda f: f.lines("missing"), "missing: got nothing, wanted a text"),
        (lambda f: f.number("number", 5), "number: got 5, wanted an integer from 0 to 4"),
        (lambda f: f.number(1, 5), "1: got True, wanted an integer from 0 to 4"),
        (lambda f: f.binary("binary", (3, 4)), "binary: got bytes, 2, wanted bytes, 3 or 4"),
        (lambda f: f.binary("binary", range(3, 6)), "binary: got bytes, 2, wanted bytes, 3 to 5"),
        (lambda f: f.hex("hex", 3), "hex: got '0Aff', wanted 3 bytes in hexadecimal"),
        (lambda f: f.hex("text", 2), "text: got 'abc', wanted 2 bytes in hexadecimal"),
        (lambda f: f.inner("text"), "text: got 'abc', wanted a map"),
        (
            lambda f: f.inner("inner").array("array", most=1),
            "inner.array: got an array, 2, wanted an array of at most 1",
        ),
        (lambda f: f.inner("inner").each("array", lambda item: item), "inner.array.0: got 1, wanted a map"),
        (
            lambda f: f.inner("inner").each("each", lambda item: item.number("n", 2)),
            "inner.each.1.n: got 2, wanted an integer from 0 to 1",
        ),
    ],
)
def test_errors_name_path_got_and_wanted(call: Callable[[Fields], object], message: str) -> None:
    with pytest.raises(ParseError) as caught:
        call(fields())
    assert caught.value.code == "thing-field"
    assert caught.value.what == "thing"
    assert caught.value.message.replace("a boolean", "True") == message


def test_a_value_that_is_not_a_map() -> None:
    with pytest.raises(ParseError, match="thing: got an array, 0, wanted a map"):
        fields([])


@pytest.mark.parametrize(
    ("text", "unique", "code"),
    [
        (b'{"a": 1, "a": 2}', True, "thing-json"),
        (b'{"b": {"a": 1, "a": 2}}', True, "thing-json"),
        (b"{", False, "thing-json"),
        (b"[" * 100_000, False, "thing-json"),
        (b"\xff", False, "thing-json"),
        (b'{"a": "' + b"x" * 64 + b'"}', False, "thing-size"),
        (b"[]", False, "thing-field"),
    ],
)
def test_json_that_is_refused(text: bytes, unique: bool, code: str) -> None:
    limit = 64 if code == "thing-size" else 1 << 20
    with pytest.raises(ParseError) as caught:
        json_object(text, "thing", code="thing", path="file", unique=unique, limit=limit)
    assert caught.value.code == code


def test_of_a_repeated_name_the_last_value_counts_where_that_is_allowed() -> None:
    value = json_object(b'{"a": 1, "a": 2}', "thing", code="thing", path="file", unique=False, limit=64)
    assert value.number("a", 3) == 2
