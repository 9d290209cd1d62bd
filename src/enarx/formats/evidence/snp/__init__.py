"""AMD SEV-SNP attestation reports, alone or extended by a table of certificates.

SEV Secure Nested Paging Firmware ABI Specification (AMD 56860, 1.58), tables "ATTESTATION_REPORT Structure" and
"TCB_VERSION".
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.evidence.families.amd import certificate_table
from enarx.record import as_dict, names, record

LAYOUT = Struct("<IIQ16s16sII8sQI4x64s48s32s48s48s32s32s8s3s21x64s8s3sx3sx8sQQ152x72s72s368x")
REPORT_SIZE = LAYOUT.size  # 1184
SIGNED_SIZE = 0x2A0
VERSIONS = (2, 3, 4, 5)
COMPONENT = 72
"""Bytes of each half of the signature, little-endian."""

WHAT = "SNP report"
RESERVED = ((0x4C, 0x50), (0x18B, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (0x208, 0x2A0), (0x330, REPORT_SIZE))
"""From, to: zero in every version that is known."""

POLICY_BITS = 0x3FFFFFF
"""Of the guest's policy those that are known ("Guest Policy Structure"): what another would allow nobody can say."""

OLDER = {2: ((0x188, 0x18B), (0x1F8, 0x208)), 3: ((0x1F8, 0x208),), 4: ((0x1F8, 0x208),), 5: ()}
"""By version what is reserved besides: the CPUID came with 3, mitigation vectors with 5. 4 is laid out as 3."""


@record(kw_only=False)
class Report:
    """One report. Integers are unsigned; TCBs are 8 bytes as they stand, for their layout goes with the product.

    `r` and `s` are the halves of the signature as numbers, of up to 576 bits. `cpuid` is family, model and stepping as
    CPUID gives them, None before version 3. `signed` is what the signature covers, `raw` everything, as received.
    """

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algorithm: int
    current_tcb: bytes
    platform_info: int
    flags: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid: tuple[int, int, int] | None
    chip_id: bytes
    committed_tcb: bytes
    current_version: tuple[int, int, int]
    committed_version: tuple[int, int, int]
    launch_tcb: bytes
    launch_mitigations: int
    current_mitigations: int
    r: int
    s: int
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Exactly 1184 bytes of a version that is known, reserved fields zero; ParseError otherwise."""
        if len(data) != REPORT_SIZE:
            raise ParseError("report-size", f"{len(data)} bytes, wanted {REPORT_SIZE}", what=WHAT, offset=len(data))
        version = _number(data, 0, 4)
        if version not in VERSIONS:
            raise ParseError("report-version", f"version {version}, wanted one of {VERSIONS}", what=WHAT)
        for start, end in (*RESERVED, *OLDER[version]):
            if data[start:end].strip(b"\0"):
                raise ParseError("report-reserved", f"reserved bytes {start:#x} to {end:#x} are not zero", what=WHAT)
        if (policy := _number(data, 8, 8)) > POLICY_BITS:
            raise ParseError(
                "report-policy", f"guest policy {policy:#x} has bits that are not known", what=WHAT, offset=8
            )
        values: list[Any] = [*LAYOUT.unpack(data), data]
        values[CPUID] = tuple(values[CPUID]) if version > 2 else None
        for version_at in (CURRENT, COMMITTED):
            values[version_at] = tuple(values[version_at][::-1])
        for half in (R, S):
            values[half] = int.from_bytes(values[half], "little")
        return cls(*values)

    def to_bytes(self) -> bytes:
        """As received."""
        return self.raw

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        return self.raw[:SIGNED_SIZE]

    @property
    def author_key_enabled(self) -> bool:
        """Is there an author key's digest?"""
        return bool(self.flags & 1)

    @property
    def chip_key_masked(self) -> bool:
        """Did the host have the firmware sign nothing?"""
        return bool(self.flags & 2)

    @property
    def signing_key(self) -> int:
        """0 VCEK, 1 VLEK, 7 none."""
        return self.flags >> 2 & 7


LAID_OUT = names(Report)[:-1]
"""The fields in the order of `LAYOUT`."""

CPUID, CURRENT, COMMITTED, R, S = map(LAID_OUT.index, ("cpuid", "current_version", "committed_version", "r", "s"))


def encode(report: Report) -> bytes:
    """The bytes of a report by its fields: what `from_bytes` reads, written back."""
    fields = as_dict(report) | {
        "cpuid": bytes(report.cpuid or ()),
        "current_version": bytes(reversed(report.current_version)),
        "committed_version": bytes(reversed(report.committed_version)),
        "r": report.r.to_bytes(COMPONENT, "little"),
        "s": report.s.to_bytes(COMPONENT, "little"),
    }
    return LAYOUT.pack(*(fields[name] for name in LAID_OUT))


def split(data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """A report, or an extended one, as the report's bytes and the certificates behind it. ParseError."""
    if len(data) <= REPORT_SIZE:
        return data, ()
    return data[:REPORT_SIZE], certificate_table(data[REPORT_SIZE:])


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
