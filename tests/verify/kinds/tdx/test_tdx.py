"""TDX quotes: the checks are those of every Intel quote, which `tests/verify/families/test_intel.py` tests."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from enarx.errors import ParseError
from enarx.formats.evidence.tdx import Evidence
from enarx.verify import Roots, verify
from enarx.verify.kinds.tdx.examine import examine
from tests.cli.test_evidence import evidence_file
from tests.controls import Control
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


def test_digests_of_collateral_poison_no_memo(evidence_dir: Path) -> None:
    """A host that sends the digest of public collateral gets no further, and spoils no other host's evidence."""
    quote = evidence_file(evidence_dir, "tdx/dcap-qvl").read_bytes()
    given = (evidence_dir / "collateral/assembled/own-tdx_dcap-qvl.json").read_bytes()
    real = Control(examine, evidence=quote, endorsements=(given,), roots=Roots(), now=1_751_328_000)
    same = b"\n" + given  # other bytes, which are in no memo yet
    digest = sha256(same).digest()
    for endorsement, status in ((digest, "undecided"), (same, "authentic"), (digest, "undecided")):
        assert real.but(endorsements=(endorsement,)).status == status
