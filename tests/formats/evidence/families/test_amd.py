"""AMD's table of certificates."""

from __future__ import annotations

import pytest

from enarx.errors import ParseError
from enarx.formats.evidence.families.amd import certificate_table

VCEK = bytes.fromhex("63da758de6644564adc5f4b93be8accd")


def entry(guid: bytes, offset: int, size: int) -> bytes:
    return guid + offset.to_bytes(4, "little") + size.to_bytes(4, "little")


def test_a_table() -> None:
    other = b"\1" * 16
    efi = VCEK[3::-1] + VCEK[5:3:-1] + VCEK[7:5:-1] + VCEK[8:]
    table = entry(VCEK, 96, 2) + entry(other, 98, 1) + entry(efi, 99, 1) + bytes(24) + b"abcd"
    assert certificate_table(table) == (b"ab", b"d")
    assert certificate_table(entry(VCEK, 0, 0) + entry(VCEK, 72, 1) + bytes(24) + b"a") == (b"a",)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (entry(VCEK, 24, 4), "outside"),
        (entry(VCEK, 24, 1) + b"\1", "no empty entry"),
        (entry(VCEK, 0, 4) + bytes(24), "outside"),
        (entry(VCEK, 2**32 - 1, 2**32 - 1) + bytes(24), "outside"),
        (entry(b"\1" * 16, 24 * 40, 0) * 40, "over 32"),
        (b"", "no empty entry"),
        (entry(VCEK, 72, 80) + entry(VCEK, 74, 78) + bytes(24) + bytes(80), "overlaps another"),
        (bytes((1 << 20) + 1), "at most"),
    ],
)
def test_what_is_no_table(table: bytes, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        certificate_table(table)
