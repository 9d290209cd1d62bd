from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats import cbor
from enarx.formats.wire import MAX_DEPTH, decode, encode

DEEP = 8
LENIENT = cbor.Form(depth=DEEP, strict=False)


def reference(data: bytes) -> object:
    """The value by decoding first and checking later, at the cost that `scan` avoids; ValueError."""
    try:
        value = cbor2.loads(data)
    except (cbor2.CBORDecodeError, RecursionError, OverflowError, MemoryError) as e:
        raise ValueError from e
    plain(value, MAX_DEPTH)
    if cbor2.dumps(value, canonical=True) != data:
        raise ValueError
    return value


def plain(value: object, depth: int) -> None:
    if depth == 0:
        raise ValueError
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise ValueError
            plain(key, depth)
            plain(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            plain(item, depth - 1)
    elif isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 64:
            raise ValueError
    elif value is not None and type(value) not in (str, bytes):
        raise ValueError


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 65), 1 << 65)
    | st.floats()
    | st.binary(max_size=30)
    | st.text(max_size=30)
    | st.just(cbor2.undefined),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers(-300, 300) | st.binary(max_size=2), inner, max_size=4)
        | st.builds(cbor2.CBORTag, st.integers(200, 1 << 20), inner)
    ),
    max_leaves=20,
)


@st.composite
def encodings(draw: st.DrawFn) -> bytes:
    """Encodings of values, canonical or not, with a byte changed, removed or inserted."""
    try:
        data = bytearray(cbor2.dumps(draw(values), canonical=draw(st.booleans())))
    except cbor2.CBOREncodeError:
        data = bytearray()
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 1))] = draw(st.binary(max_size=2))
    return bytes(data)


@given(encodings() | st.binary(max_size=60))
def test_the_same_is_accepted_as_by_encoding_again(data: bytes) -> None:
    try:
        wanted = reference(data)
    except ValueError:
        with pytest.raises(ParseError):
            decode(data, "x")
        return
    assert decode(data, "x") == wanted


@given(encodings())
def test_what_passes_leniently_is_read_without_another_error(data: bytes) -> None:
    try:
        cbor.decode(data, "x", LENIENT)
    except ParseError as e:
        assert e.what == "x"
        assert 0 <= e.offset <= len(data)


@given(st.lists(values, max_size=4))
def test_entries_one_by_one_are_those_of_the_array(value: list[object]) -> None:
    form = cbor.Form(depth=MAX_DEPTH)
    data = cbor2.dumps(value, canonical=True)
    try:
        wanted = cbor.decode(data, "x", form)
    except ParseError:
        return
    assert list(cbor.each(data, "x", form)) == wanted


def test_entries_are_those_of_an_array_alone() -> None:
    for data in (encode({"a": 1}), b"\x82\x01"):
        with pytest.raises(ParseError):
            list(cbor.each(data, "x", cbor.Form(depth=MAX_DEPTH)))
    with pytest.raises(ParseError, match="UTF-8"):
        list(cbor.each(b"\x81\x61\xff", "x", cbor.Form(depth=MAX_DEPTH)))
    assert len(list(cbor.each(encode([1] * 300), "x", cbor.Form(depth=MAX_DEPTH)))) == 300


@pytest.mark.parametrize("depth", [1, 3, MAX_DEPTH])
def test_depth(depth: int) -> None:
    form = cbor.Form(depth=depth)
    cbor.scan(b"\x81" * (depth - 1) + b"\x00", "x", form)
    cbor.scan(b"\x81" * (depth - 1) + b"\x80", "x", form)
    with pytest.raises(ParseError, check=lambda e: e.code == "cbor-depth"):
        cbor.scan(b"\x81" * depth + b"\x00", "x", form)
    lenient = cbor.Form(depth=depth, strict=False)
    cbor.scan(b"\x9f" * depth + b"\xff" * depth, "x", lenient)
    with pytest.raises(ParseError, check=lambda e: e.code == "cbor-depth"):
        cbor.scan(b"\x9f" * depth + b"\x00" + b"\xff" * depth, "x", lenient)


def test_items_are_counted() -> None:
    form = cbor.Form(depth=2, items=3)
    cbor.scan(b"\x82\x00\x00", "x", form)
    with pytest.raises(ParseError, check=lambda e: e.code == "cbor-items"):
        cbor.scan(b"\x83\x00\x00\x00", "x", form)
    cbor.scan(encode([0] * cbor.FREE_ITEMS), "x", cbor.Form(depth=2))
    with pytest.raises(ParseError, check=lambda e: e.code == "cbor-items"):
        cbor.scan(encode([0] * (3 * cbor.FREE_ITEMS)), "x", cbor.Form(depth=2))


def test_integer_keys_are_counted() -> None:
    keys = dict.fromkeys(range(cbor.MAX_INTEGER_KEYS), "xxxx")
    assert decode(encode(keys), "x") == keys
    with pytest.raises(ParseError, check=lambda e: e.code == "cbor-items"):
        decode(encode(dict.fromkeys(range(cbor.MAX_INTEGER_KEYS + 1), "xxxx")), "x")
