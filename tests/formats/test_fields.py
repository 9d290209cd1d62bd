"""Fields of decoded maps: each type takes its own values and no other, and the error names the path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.fields import Fields, json_object

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def fields(**values: Any) -> Fields:
    return Fields(values, "test", code="test")


def said(act: Any) -> tuple[str, str]:
    with pytest.raises(ParseError) as caught:
        act()
    return caught.value.code, caught.value.message


def test_each_type_takes_its_own() -> None:
    found = fields(a="x", n=255, b=b"abc", h="00fF", l=[1], d={"k": "v"}, t="two\nlines", each=[{"i": 1}, {"i": 2}])
    assert (found.text("a"), found.lines("t"), found.number("n", 256)) == ("x", "two\nlines", 255)
    assert (found.binary("b", (3,)), found.hex("h", 2), found.array("l")) == (b"abc", b"\0\xff", [1])
    assert found.inner("d").text("k") == "v"
    assert found.each("each", lambda one: one.number("i", 3)) == (1, 2)
    assert ("a" in found, "z" in found, found.get("z"), len(found.names)) == (True, False, None, 8)


@pytest.mark.parametrize(
    ("read", "wrong", "message"),
    [
        (lambda f: f.text("x"), None, "x: got nothing, wanted a printable text of at most 1048576 characters"),
        (
            lambda f: f.text("x"),
            "a\x1b[2J",
            "x: got 'a\\x1b[2J', wanted a printable text of at most 1048576 characters",
        ),
        (lambda f: f.text("x", longest=2), "abc", "x: got 'abc', wanted a printable text of at most 2 characters"),
        (lambda f: f.lines("x"), 7, "x: got 7, wanted a text"),
        (lambda f: f.number("x", 256), True, "x: got a boolean, wanted an integer from 0 to 255"),
        (lambda f: f.number("x", 256), 1.0, "x: got a number, wanted an integer from 0 to 255"),
        (lambda f: f.number("x", 256), -1, "x: got -1, wanted an integer from 0 to 255"),
        (lambda f: f.number("x", 256), 256, "x: got 256, wanted an integer from 0 to 255"),
        (lambda f: f.number("x", 256), 1 << 9999, "x: got a number, wanted an integer from 0 to 255"),
        (lambda f: f.binary("x", (2, 4)), b"abc", "x: got bytes, 3, wanted bytes, 2 or 4"),
        (lambda f: f.binary("x", range(1, 3)), "ab", "x: got 'ab', wanted bytes, 1 to 2"),
        (lambda f: f.hex("x", 2), "00", "x: got '00', wanted 2 bytes in hexadecimal"),
        (lambda f: f.hex("x", 1), "zz", "x: got 'zz', wanted 1 bytes in hexadecimal"),
        (lambda f: f.array("x", most=1), [1, 2], "x: got an array, 2, wanted an array of at most 1"),
        (lambda f: f.array("x"), {}, "x: got a map, wanted an array of at most 256"),
        (lambda f: f.inner("x"), [], "x: got an array, 0, wanted a map"),
        (lambda f: f.each("x", lambda one: one), [{}, "y" * 41], "x.1: got a text, wanted a map"),
    ],
)
def test_and_no_other(read: Any, wrong: Any, message: str) -> None:
    assert said(lambda: read(fields(x=wrong))) == ("test-field", message)


def test_the_path_is_that_from_the_outermost_map() -> None:
    found = fields(levels=[{"tcb": {"svn": 0}}, {"tcb": {"svn": "x"}}])
    code, message = said(lambda: found.each("levels", lambda one: one.inner("tcb").number("svn", 8)))
    assert message == "levels.1.tcb.svn: got 'x', wanted an integer from 0 to 7"


def test_numbers_name_fields_of_cbor() -> None:
    assert Fields({2395: 1}, "test", code="test", path="platform").number(2395, 2) == 1
    code, message = said(lambda: Fields({}, "test", code="test", path="platform").number(2395, 2))
    assert message.startswith("platform.2395: got nothing")


def test_names_that_stand_twice() -> None:
    data = b'{"a": 1, "b": {"a": 1, "a": 2}}'
    last = json_object(data, "test", code="test", path="it", unique=False, limit=99)
    assert last.inner("b").number("a", 3) == 2
    refused = said(lambda: json_object(data, "test", code="test", path="it", unique=True, limit=99))
    assert refused == ("test-json", "it: not JSON, or a duplicate name")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"{" + b'"a":{' * 100_000])
def test_what_is_no_json(data: bytes) -> None:
    code, message = said(lambda: json_object(data, "test", code="test", path="it", unique=False, limit=1 << 20))
    assert (code, message) == ("test-json", "it: not JSON")


def test_what_is_no_object_or_too_long() -> None:
    assert said(lambda: json_object(b"[]", "t", code="test", path="it", unique=False, limit=9))[0] == "test-field"
    assert said(lambda: json_object(b"[]", "t", code="test", path="it", unique=False, limit=1)) == (
        "test-size",
        "it: 2 bytes, at most 1",
    )


@given(JSON, st.sampled_from(("", "a", "b.c")))
def test_whatever_the_value(value: Any, name: str) -> None:
    try:
        found = Fields(value, "test", code="test")
    except ParseError:
        assert not isinstance(value, dict)
        return
    for read in (found.text, found.lines, found.inner, found.array):
        try:
            read(name)
        except ParseError as e:
            assert e.message.isprintable()


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=4))
def test_objects_come_back(value: dict[str, Any]) -> None:
    found = json_object(json.dumps(value).encode(), "test", code="test", path="it", unique=True, limit=1 << 20)
    assert {name: found.get(name) for name in found.names} == value
