"""JSON from untrusted sources: a value that is safe to traverse, or a ParseError."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.plain_json import MAX_DEPTH, decode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert decode(json.dumps(value), "value") == value


@given(st.binary() | st.text())
def test_any_input_gives_a_value_or_a_parse_error(data: bytes | str) -> None:
    try:
        json.dumps(decode(data, "value"))
    except ParseError as e:
        assert e.what == "value"


@pytest.mark.parametrize("kind", ["[]", '{"a":}'])
def test_depth_has_a_bound(kind: str) -> None:
    opening, closing = kind[:-1], kind[-1]
    assert decode(opening * MAX_DEPTH + "1" + closing * MAX_DEPTH, "value")
    with pytest.raises(ParseError, match="nested"):
        decode(opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1), "value")


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "", b"\xff", "{1: 2}"])
def test_what_python_itself_gives_up_on(text: str | bytes) -> None:
    with pytest.raises(ParseError) as caught:
        decode(text, "value")
    assert caught.value.code == "json"
