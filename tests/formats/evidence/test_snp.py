"""SNP reports and tables: bytes to fields and back, nothing but the format."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.evidence.snp import REPORT_SIZE, RESERVED, RESERVED_BY_VERSION, Report, certificate_table, split
from tests.forge import amd

GOOD = amd.sign(amd.blank())
VCEK = bytes.fromhex("63da758de6644564adc5f4b93be8accd")


def entry(guid: bytes, offset: int, size: int) -> bytes:
    return guid + offset.to_bytes(4, "little") + size.to_bytes(4, "little")


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_fields_and_back(version: int) -> None:
    report = amd.blank(
        version=version, cpuid=(25, 17, 1) if version > 2 else None, launch_mitigations=0, current_mitigations=0
    )
    data = amd.sign(report)
    found = Report.from_bytes(data)
    assert amd.encode(found) == data == found.to_bytes()
    assert found.signed == data[:0x2A0]
    assert found.version == version
    assert not found.author_key_enabled


def test_real_ones_come_back_to_the_byte(evidence_dir: Path) -> None:
    for path in sorted((evidence_dir / "snp").glob("[!n]*/report.bin")):
        data = path.read_bytes()
        assert amd.encode(Report.from_bytes(data)) == data


@pytest.mark.parametrize("size", [0, 1, 1183, 1185])
def test_length_is_exact(size: int) -> None:
    with pytest.raises(ParseError, match="bytes, wanted 1184"):
        Report.from_bytes(GOOD.ljust(size, b"\0")[:size])


@pytest.mark.parametrize("version", [0, 1, 6, 99, 1 << 31])
def test_versions_are_known(version: int) -> None:
    with pytest.raises(ParseError, match="version"):
        Report.from_bytes(version.to_bytes(4, "little") + GOOD[4:])


@pytest.mark.parametrize(("start", "end"), [*RESERVED, *RESERVED_BY_VERSION[2]])
def test_reserved_bytes_are_zero(start: int, end: int) -> None:
    data = bytearray(amd.sign(amd.blank(version=2, cpuid=None, launch_mitigations=0, current_mitigations=0)))
    for at in (start, end - 1):
        data[at] = 1
        with pytest.raises(ParseError, match="reserved"):
            Report.from_bytes(bytes(data))
        data[at] = 0


def test_a_table() -> None:
    other = b"\1" * 16
    efi = VCEK[3::-1] + VCEK[5:3:-1] + VCEK[7:5:-1] + VCEK[8:]
    table = entry(VCEK, 96, 2) + entry(other, 98, 1) + entry(efi, 99, 1) + bytes(24) + b"abcd"
    assert certificate_table(table) == (b"ab", b"d")
    assert split(GOOD + table) == (GOOD, (b"ab", b"d"))
    assert split(GOOD) == (GOOD, ())
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
        (entry(VCEK, 72, 80) + entry(VCEK, 74, 78) + bytes(24) + bytes(80), "over another"),
        (bytes((1 << 20) + 1), "at most"),
    ],
)
def test_what_is_no_table(table: bytes, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        certificate_table(table)


@given(st.binary(max_size=2 * REPORT_SIZE))
def test_whatever_the_bytes(data: bytes) -> None:
    try:
        report_bytes, _ = split(data)
        report = Report.from_bytes(report_bytes)
    except ParseError:
        return
    assert amd.encode(report) == report_bytes
