"""TDX quotes: the checks are those of every Intel quote, which `tests/verify/families/test_intel.py` tests."""

from __future__ import annotations

import pytest

from enarx.errors import ParseError
from enarx.formats.evidence.tdx import Evidence
from enarx.verify import verify
from tests.forge import intel
from tests.verify.families import test_intel

ONLY = test_intel.ONLY


def test_evidence_has_the_quote_and_its_report() -> None:
    data = intel.quote(intel.TDX)
    evidence = Evidence.from_bytes(data)
    assert (evidence.to_bytes(), evidence.signed) == (data, evidence.quote.signed)
    assert evidence.report.to_bytes() == evidence.quote.body


def test_it_takes_no_quote_of_another_tee() -> None:
    with pytest.raises(ParseError, match="quote of TEE 0x0"):
        verify("tdx", intel.quote(intel.SGX), (), roots=test_intel.roots(), now=intel.NOW)
