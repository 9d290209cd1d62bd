"""Authenticode digests of signed files."""

from __future__ import annotations

import json
from pathlib import Path

from enarx.formats.launch.pe import PeFile
from enarx.image.launch.authenticode import authenticode


def test_the_digest_under_debians_signature(vectors: Path) -> None:
    """Debian's signature contains the digest."""
    row = json.loads((vectors / "pe" / "expected.json").read_text())[0]
    data = (vectors / "pe" / row["file"]).read_bytes()
    read = PeFile.from_bytes(data)
    digest = authenticode(read, "sha256")
    assert digest.hex() == row["embedded_signed_sha256"]
    assert digest in data[-read.signatures :]
    assert authenticode(read).hex() == row["authenticode_sha384_by_me"]
    changed = PeFile.from_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert authenticode(changed, "sha256") == digest
    assert authenticode(PeFile.from_bytes(data[:5000] + b"\xff" + data[5001:]), "sha256") != digest
