"""AMD SEV-SNP attestation reports, alone or followed by a table of certificates.

Source: SEV Secure Nested Paging Firmware ABI Specification (AMD 56860, 1.58), tables "ATTESTATION_REPORT Structure",
"TCB_VERSION" and "Guest Policy Structure". Integers are little-endian and unsigned.
"""

from __future__ import annotations

from typing import Self

from enarx.errors import ParseError
from enarx.formats.evidence.families.amd import certificate_table
from enarx.record import record

WHAT = "SNP report"
REPORT_SIZE = 0x4A0
SIGNED_SIZE = 0x2A0
VERSIONS = (2, 3, 4, 5)

RESERVED = ((0x4C, 0x50), (0x18B, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (0x208, 0x2A0), (0x330, REPORT_SIZE))
"""Ranges of bytes that are zero in every known version."""

RESERVED_BY_VERSION = {2: ((0x188, 0x18B), (0x1F8, 0x208)), 3: ((0x1F8, 0x208),), 4: ((0x1F8, 0x208),), 5: ()}
"""Further ranges that are zero. Version 3 added the CPUID, version 5 the mitigation vectors; 4 has the layout of 3."""

POLICY_BITS = 0x3FFFFFF
"""The known bits of a guest policy. What any other bit would allow is unknown, so such reports are refused."""


@record()
class Report:
    """One attestation report.

    A TCB is kept as 8 bytes, because its layout depends on the product. `r` and `s` are the halves of the ECDSA signature, of
    up to 576 bits. `cpuid` is family, model and stepping, None before version 3. Versions of the firmware are (major, minor,
    build). `raw` is the whole report as received.
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
        """Parse exactly 1184 bytes. ParseError for an unknown version or policy bit, or a reserved byte that is not zero."""
        if len(data) != REPORT_SIZE:
            raise ParseError("report-size", f"{len(data)} bytes, wanted {REPORT_SIZE}", what=WHAT, offset=len(data))
        version = _uint(data, 0x000, 4)
        if version not in VERSIONS:
            raise ParseError("report-version", f"version {version}, wanted one of {VERSIONS}", what=WHAT)
        for start, end in (*RESERVED, *RESERVED_BY_VERSION[version]):
            if data[start:end].strip(b"\0"):
                raise ParseError("report-reserved", f"reserved bytes {start:#x} to {end:#x} are not zero", what=WHAT)
        policy = _uint(data, 0x008, 8)
        if policy > POLICY_BITS:
            raise ParseError("report-policy", f"guest policy {policy:#x} has unknown bits", what=WHAT, offset=0x008)
        return cls(
            version=version,
            guest_svn=_uint(data, 0x004, 4),
            policy=policy,
            family_id=data[0x010:0x020],
            image_id=data[0x020:0x030],
            vmpl=_uint(data, 0x030, 4),
            signature_algorithm=_uint(data, 0x034, 4),
            current_tcb=data[0x038:0x040],
            platform_info=_uint(data, 0x040, 8),
            flags=_uint(data, 0x048, 4),
            report_data=data[0x050:0x090],
            measurement=data[0x090:0x0C0],
            host_data=data[0x0C0:0x0E0],
            id_key_digest=data[0x0E0:0x110],
            author_key_digest=data[0x110:0x140],
            report_id=data[0x140:0x160],
            report_id_ma=data[0x160:0x180],
            reported_tcb=data[0x180:0x188],
            cpuid=(data[0x188], data[0x189], data[0x18A]) if version >= 3 else None,
            chip_id=data[0x1A0:0x1E0],
            committed_tcb=data[0x1E0:0x1E8],
            current_version=(data[0x1EA], data[0x1E9], data[0x1E8]),
            committed_version=(data[0x1EE], data[0x1ED], data[0x1EC]),
            launch_tcb=data[0x1F0:0x1F8],
            launch_mitigations=_uint(data, 0x1F8, 8),
            current_mitigations=_uint(data, 0x200, 8),
            r=_uint(data, 0x2A0, 72),
            s=_uint(data, 0x2E8, 72),
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """The bytes of the report, as received."""
        return self.raw

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return self.raw[:SIGNED_SIZE]

    @property
    def author_key_enabled(self) -> bool:
        """Whether the report has an author key's digest (AUTHOR_KEY_EN)."""
        return bool(self.flags & 0x1)

    @property
    def chip_key_masked(self) -> bool:
        """Whether the host had the firmware leave the report unsigned (MASK_CHIP_KEY)."""
        return bool(self.flags & 0x2)

    @property
    def signing_key(self) -> int:
        """The key that signed the report: 0 VCEK, 1 VLEK, 7 none."""
        return self.flags >> 2 & 0x7


def split(data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The bytes of a report, and the certificates in the table that follows it in an extended report. ParseError."""
    if len(data) <= REPORT_SIZE:
        return data, ()
    return data[:REPORT_SIZE], certificate_table(data[REPORT_SIZE:])


def _uint(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
