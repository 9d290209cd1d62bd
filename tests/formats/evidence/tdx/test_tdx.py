"""Reports of trust domains: bytes to fields and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.formats.evidence.tdx import Evidence
from tests.forge import intel as forge

QUOTES = {
    "1.0": forge.quote(forge.TDX),
    "1.5": forge.quote(version=5),
    "1.5, extended": forge.quote(version=5, body=forge.domain(885, last=(884, b"\7"), now=(829, b"\5"))),
}


@pytest.mark.parametrize("name", QUOTES)
def test_fields_and_back(name: str) -> None:
    evidence = Evidence.from_bytes(QUOTES[name])
    assert evidence.report.to_bytes() == evidence.quote.body


def test_real_ones_come_back_to_the_byte(evidence_dir: Path) -> None:
    for path in sorted((evidence_dir / "tdx").glob("[!n]*/quote.bin")):
        evidence = Evidence.from_bytes(path.read_bytes())
        assert evidence.report.to_bytes() == evidence.quote.body
