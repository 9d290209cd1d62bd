"""Kinds by how their evidence begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.errors import UsageError
from enarx.verify.kinds import HARDWARE, KINDS, detect, find
from tests.verify.test_rules import good

FILES = ("report.bin", "quote.bin", "doc.cbor", "token.cbor")


@pytest.mark.parametrize("kind", HARDWARE)
def test_forged_ones(kind: str) -> None:
    evidence = good(kind).evidence
    assert detect(evidence) == kind
    assert [name for name in KINDS if find(name).detect(evidence)] == [kind], "no other kind claims it"


@pytest.mark.parametrize("kind", [kind for kind in HARDWARE if not find(kind).parts])
def test_real_ones(evidence_dir: Path, kind: str) -> None:
    for path in sorted((evidence_dir / kind).glob("*/*")):
        if path.name in FILES:
            assert detect(path.read_bytes()) == kind, path


@pytest.mark.parametrize("data", [b"", b"x", b"{}", bytes(1184), b"\3\0\2\0\0\0\0\0"])
def test_what_begins_like_nothing(data: bytes) -> None:
    with pytest.raises(UsageError, match="cannot be detected"):
        detect(data)
