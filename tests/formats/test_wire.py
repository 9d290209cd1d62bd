from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.wire import HEADER, LARGEST, MAX_FRAME, FrameType, decode, encode, frame, frame_header

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.binary(max_size=20) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_a_value_has_one_encoding(value: object) -> None:
    try:
        assert decode(encode(value), "value") == value
    except ParseError as e:
        assert e.code == "cbor-depth"


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_our_error(data: bytes) -> None:
    try:
        value = decode(data, "junk")
    except ParseError:
        return
    assert encode(value) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (encode(1) + b"\0", "trailing byte"),
        (b"\x18\x01", "an integer longer than it must be"),
        (b"\x9f\x01\xff", "indefinite length"),
        (b"\xa2\x61a\x01\x61a\x02", "a key twice"),
        (b"\xa2\x61b\x01\x61a\x02", "keys out of order"),
        (b"\xc1\x01", "a tag"),
        (b"\xf9\x3c\x00", "a float"),
        (b"\xf7", "undefined"),
        (b"\xc2\x49" + b"\1" * 9, "a big number"),
        (b"\xd8\x1c\x81\xd8\x1d\x00", "a cycle"),
        (b"\x81" * 20 + b"\x00", "too deep"),
        (b"\xa1\x40\x00", "bytes as a key"),
        (b"\x61\xff", "not UTF-8"),
        (b"\x5b" + b"\xff" * 8, "a length beyond memory"),
        (b"", "nothing"),
    ],
)
def test_refused(data: bytes, why: str) -> None:
    with pytest.raises(ParseError):
        decode(data, why)


def test_frames() -> None:
    made = frame(FrameType.OUTPUT, b"payload")
    assert frame_header(made[: HEADER.size]) == (FrameType.OUTPUT, 7)
    with pytest.raises(ParseError, check=lambda e: e.code == "frame-type"):
        frame_header(HEADER.pack(1, 99))


@pytest.mark.parametrize("kind", FrameType)
def test_each_type_of_frame_has_a_bound_of_its_own(kind: FrameType) -> None:
    """Both sides check the bound by the header alone: larger frames are neither built nor read."""
    largest = LARGEST[kind]
    assert largest + 1 <= MAX_FRAME
    assert frame_header(HEADER.pack(largest + 1, kind)) == (kind, largest)
    assert len(frame(kind, bytes(largest))) == HEADER.size + largest
    for length in (0, largest + 2, 0xFFFFFFFF):
        with pytest.raises(ParseError, check=lambda e: e.code == "frame-size"):
            frame_header(HEADER.pack(length, kind))
    with pytest.raises(ParseError, check=lambda e: e.code == "frame-size"):
        frame(kind, bytes(largest + 1))


def test_small_messages_have_small_bounds() -> None:
    for kind in ("CHALLENGE", "ATTACH", "ATTEST", "REFUSAL", "ATTACHED", "REPLY", "RECEIVED"):
        assert LARGEST[FrameType[kind]] <= 512


def test_cbor2_alone_would_take_them() -> None:
    """The reason for `scan`: the library accepts encodings that the specification forbids."""
    assert cbor2.loads(b"\x18\x01") == 1
