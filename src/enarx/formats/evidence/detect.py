"""Which kind of evidence, or of log, a file most probably holds. A guess for people: verifying says whether it is true."""

from __future__ import annotations

from enarx.errors import UsageError
from enarx.formats.evidence import KINDS
from enarx.formats.evidence.eventlog import SIGNATURE

TEE_TYPES = {0: "sgx", 0x81: "tdx"}
QUOTES = ((3, 2), (4, 2), (5, 2), (4, 3), (5, 3))
"""Version and type of attestation key at the start of Intel's quotes."""


def detect(data: bytes) -> str:
    """The kind by how it begins; UsageError if nothing is known to begin so."""
    head = (int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little"))
    tee = int.from_bytes(data[4:8], "little")
    if data[32:48] == SIGNATURE:
        return "eventlog"
    if data[:4] == b"CCEL":
        return "ccel"
    if len(data) >= 48 and head in QUOTES and tee in TEE_TYPES:
        return TEE_TYPES[tee]
    if data[:3] in (b"\xd9\x01\x8f", b"\xd9\x03\x8b"):
        return "cca"
    if data[:2] in (b"\x84\x44", b"\xd2\x84", b"\x84\x58"):
        return "nitro"
    if data.lstrip()[:1] == b"{" and (b'"hcl_report"' in data or b'"report"' in data):
        return "az-tdx-vtpm" if b'"td_quote"' in data else "az-snp-vtpm"
    if data[:1] == b"\n" and b"\xff\x54\x43\x47\x80\x18" in data[:4096]:
        return "tpm"
    if len(data) >= 1000 and 1 < int.from_bytes(data[:4], "little") < 256:
        return "snp"
    raise UsageError(
        "kind", "the kind of this evidence is not known by its beginning", hint=f"--kind {'|'.join(KINDS)}"
    )
