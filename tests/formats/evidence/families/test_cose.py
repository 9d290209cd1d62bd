"""COSE: strict about everything that two readers could read in two ways."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.evidence.families.cose import MAX_DEPTH, decode, sign1


@pytest.mark.parametrize("value", [[], [b"", {}, b""], [b"\xa1\1\7", {1: 2}, b"", b""], {}, 7, [b"", [], b"", b""]])
def test_what_is_no_message(value: Any) -> None:
    with pytest.raises(ParseError):
        sign1(cbor2.dumps(value), "test")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("bf6161016162f5ff", {"a": 1, "b": True}),
        ("9f01f6f4ff", [1, None, False]),
        ("1903e8", 1000),
        ("3863", -100),
        ("1b0000000100000000", 1 << 32),
        ("6161", "a"),
        ("82a08140", [{}, [b""]]),
    ],
)
def test_plain_cbor(data: str, value: Any) -> None:
    assert decode(bytes.fromhex(data), "test") == value


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0000",  # something behind it
        "a201020103",  # a key twice
        "bf01020103ff",
        "a1a00102",  # a map as a key
        "a20102180103",  # a key twice, in two forms
        "1817",
        "190017",
        "1a0000ffff",
        "1b00000000ffffffff",
        "a1",
        "5f4101ff",  # in pieces
        "61ff",  # no UTF-8
        "f90000",  # a float
        "f7",  # undefined
        "f820",
        "e0",
        "1c",  # no argument
        "c000",  # a tag
        "ff",
        "9f01",
        "bf01",
        "5bffffffffffffffff",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "a1f501",  # true as a key
        "81" * (MAX_DEPTH + 2) + "00",
        "995000" + "00" * 0x5000,
    ],
)
def test_what_is_not_strict_cbor(data: str) -> None:
    with pytest.raises(ParseError):
        decode(bytes.fromhex(data), "test")


@pytest.mark.parametrize(
    "data", ["1817", "190017", "1a0000ffff", "1b00000000ffffffff", "f90000", "fa00000000", "81f97e00"]
)
def test_every_encoding_where_a_format_wants_it(data: str) -> None:
    decode(bytes.fromhex(data), "test", variant=True)


@pytest.mark.parametrize("data", ["a20102180103", "a26161017801616102", "f7", "c000", "f820", "1c", "fc00"])
def test_even_there_not_everything(data: str) -> None:
    with pytest.raises(ParseError):
        decode(bytes.fromhex(data), "test", variant=True)


@given(st.binary(max_size=200))
def test_whatever_the_bytes(data: bytes) -> None:
    try:
        value = decode(data, "test", tags=frozenset((18,)))
    except ParseError:
        return
    assert value is None or isinstance(value, (bool, int, bytes, str, list, dict, cbor2.CBORTag))
