"""SNP reports: bytes to fields and back, nothing but the format."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.evidence.snp import REPORT_SIZE, RESERVED, RESERVED_BY_VERSION, Report, split
from tests.forge import amd, snp

GOOD = snp.sign(snp.blank())


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_fields_and_back(version: int) -> None:
    report = snp.blank(
        version=version, cpuid=(25, 17, 1) if version > 2 else None, launch_mitigations=0, current_mitigations=0
    )
    data = snp.sign(report)
    found = Report.from_bytes(data)
    assert snp.encode(found) == data == found.to_bytes()
    assert found.signed == data[:0x2A0]
    assert found.version == version
    assert not found.author_key_enabled


def test_real_ones_come_back_to_the_byte(evidence_dir: Path) -> None:
    for path in sorted((evidence_dir / "snp").glob("[!n]*/report.bin")):
        data = path.read_bytes()
        assert snp.encode(Report.from_bytes(data)) == data


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
    data = bytearray(snp.sign(snp.blank(version=2, cpuid=None, launch_mitigations=0, current_mitigations=0)))
    for at in (start, end - 1):
        data[at] = 1
        with pytest.raises(ParseError, match="reserved"):
            Report.from_bytes(bytes(data))
        data[at] = 0


def test_certificates_follow_the_report() -> None:
    assert split(GOOD + amd.table(b"vcek", b"ask")) == (GOOD, (b"vcek", b"ask"))
    assert split(GOOD) == (GOOD, ())


@given(st.binary(max_size=2 * REPORT_SIZE))
def test_whatever_the_bytes(data: bytes) -> None:
    try:
        report_bytes, _ = split(data)
        report = Report.from_bytes(report_bytes)
    except ParseError:
        return
    assert snp.encode(report) == report_bytes
