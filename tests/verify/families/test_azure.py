"""The form of Azure's evidence, whatever hardware is below."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.evidence.families.azure import Evidence
from tests.forge import azure, tpm

REPORT = azure.hcl(azure.runtime(), bytes(1184))
"""A report of zeros: the format does not parse it."""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"{" * 100_000,
        bytes((1 << 20) + 1),
        b'{"a": 1, "a": 2}',
        azure.evidence(REPORT, hcl_report=7),
        azure.evidence(REPORT, hcl_report="*"),
        azure.evidence(REPORT, hcl_report=[256]),
        azure.evidence(b"HCLA"),
        azure.evidence(azure.hcl(azure.runtime(), bytes(1184), kind=4)),
        azure.evidence(azure.hcl(azure.runtime(), bytes(1184), kind=3)),
        azure.evidence(REPORT, td_quote="AAAA"),
        azure.evidence(azure.hcl(azure.runtime(), bytes(1184), hashed=2)),
        azure.evidence(azure.hcl(azure.runtime(), bytes(1184), tail=b"x")),
        azure.evidence(azure.hcl(azure.runtime(keys=[]), bytes(1184))),
        azure.evidence(azure.hcl(azure.runtime(keys=7), bytes(1184))),
        azure.evidence(azure.hcl(b"7", bytes(1184))),
        azure.evidence(azure.hcl(azure.runtime(**{"vm-configuration": {"vmUniqueId": "\x1b[2J"}}), bytes(1184))),
        azure.evidence(azure.hcl(azure.runtime(**{"vm-configuration": {"vmUniqueId": 7}}), bytes(1184))),
        azure.evidence(REPORT, tpm_quote=7),
        azure.evidence(REPORT, tpm_quote={"pcrs": []}),
        azure.evidence(REPORT, vcek="*"),
    ],
)
def test_what_is_no_evidence(data: bytes) -> None:
    with pytest.raises(ParseError):
        Evidence.from_bytes(data)


@given(st.binary(max_size=400))
def test_whatever_the_bytes(data: bytes) -> None:
    with pytest.raises(ParseError):
        Evidence.from_bytes(data)


def test_bytes_are_kept() -> None:
    data = azure.evidence(REPORT)
    found = Evidence.from_bytes(data)
    assert (found.to_bytes(), found.signed) == (data, tpm.quote())
