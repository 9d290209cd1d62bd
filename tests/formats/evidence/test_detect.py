"""Kinds by how evidence begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.errors import UsageError
from enarx.verify.kinds import detect
from tests.forge import amd, arm, aws


def test_forged_ones() -> None:
    assert detect(amd.sign(amd.blank())) == "snp"
    assert detect(aws.document()) == detect(aws.document(tagged=True)) == "nitro"
    assert detect(arm.token()) == "cca"


def test_real_ones(evidence_dir: Path) -> None:
    for kind in ("snp", "sgx", "tdx", "nitro", "cca"):
        for name in ("report.bin", "quote.bin", "doc.cbor", "token.cbor"):
            for path in sorted((evidence_dir / kind).glob(f"*/{name}")):
                assert detect(path.read_bytes()) == kind, path


@pytest.mark.parametrize("data", [b"", b"x", b"{}", bytes(1184), b"\3\0\2\0\0\0\0\0"])
def test_what_begins_like_nothing(data: bytes) -> None:
    with pytest.raises(UsageError, match="not known"):
        detect(data)
