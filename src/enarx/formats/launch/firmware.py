"""UEFI firmware for virtual machines (edk2 OvmfPkg): its GUID table, and the SEV and TDX metadata.

The table precedes the last 32 bytes of the file and is read backwards. An entry consists of its data, the length of the
whole entry, and its GUID (OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm). In guest memory, the firmware ends at 4 GiB.

SEV metadata: OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm. TDX metadata: Intel TDX Virtual Firmware Design Guide (344991), 11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self, TypeVar
from uuid import UUID

from enarx.errors import ParseError
from enarx.formats.reader import Reader
from enarx.record import record

WHAT = "firmware"
MAX_SIZE = 64 << 20
PAGE = 4096
FOUR_GIB = 1 << 32
BEHIND_TABLE = 32
ENTRY = 18
MAX_PAGES = 1 << 16
"""Pages of all sections together; measuring takes time for each."""

FOOTER = UUID("96b582de-1fb2-45f7-baea-a366c55a082d")
SEV_HASHES = UUID("7255371f-3a3b-4b04-927b-1da6efa8d454")
SEV_RESET = UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
SEV_METADATA = UUID("dc886566-984a-4798-a75e-5585a7bf67cc")
TDX_METADATA = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2")
SVSM_INFO = UUID("a789a612-0597-4c4b-a49f-cbb1fe9d1ddd")

SEC_MEMORY, SECRETS, CPUID, SVSM_CAA, KERNEL_HASHES = 1, 2, 3, 4, 0x10
SEV_TYPES = {
    SEC_MEMORY: "memory",
    SECRETS: "secrets",
    CPUID: "cpuid",
    SVSM_CAA: "svsm-caa",
    KERNEL_HASHES: "kernel-hashes",
}
TDX_TYPES = range(9)
EXTEND, AUGMENT = 1, 2
"""Attributes of a TDX section: the content is measured; the pages are not added at launch."""

Section = TypeVar("Section", bound="SevSection | TdxSection")


@record()
class SevSection:
    """A section of guest memory that the host prepares: address and size in bytes, and its type."""

    address: int
    size: int
    type: int


@record()
class TdxSection:
    """A section of guest memory: its place in the file (`offset`, `raw_size`) and in memory, in bytes."""

    offset: int
    raw_size: int
    address: int
    size: int
    type: int
    attributes: int


@record()
class SevMetadata:
    """The firmware's metadata for a launch under SEV: sections in order, and two addresses, 0 if missing.

    `hashes` is the address of the table of kernel hashes, `reset` the start address of all processors but the first.
    """

    sections: tuple[SevSection, ...]
    hashes: int
    reset: int

    def __post_init__(self) -> None:
        _bounded(self.sections)
        for section in self.sections:
            if section.type not in SEV_TYPES:
                raise _wrong("sev-section", f"SEV section of unknown type {section.type:#x}")
            if section.type != SEC_MEMORY and section.type != SVSM_CAA and section.size != PAGE:
                name = SEV_TYPES[section.type]
                raise _wrong("sev-section", f"{name} section of {section.size} bytes, wanted {PAGE}")
        if not 0 <= self.hashes < FOUR_GIB or not 0 <= self.reset < FOUR_GIB:
            raise _wrong("sev-address", "an address of more than 32 bits")


@record(hidden=("raw",))
class Firmware:
    """A firmware file: the entries of its GUID table, empty if it has none, and all of its bytes."""

    table: Mapping[UUID, bytes]
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A file of whole pages, at most MAX_SIZE bytes, whose table, if present, is well-formed; ParseError."""
        if not data or len(data) > MAX_SIZE or len(data) % PAGE:
            raise _wrong("size", f"{len(data)} bytes, wanted pages of {PAGE}, at most {MAX_SIZE} bytes")
        return cls(table=_table(data), raw=data)

    @property
    def address(self) -> int:
        """The address of its first byte in guest memory."""
        return FOUR_GIB - len(self.raw)

    @property
    def hashes(self) -> int:
        """The address of the table of kernel hashes in guest memory; 0 if the firmware has no room for it."""
        return self._number(SEV_HASHES)

    @property
    def reset(self) -> int:
        """The start address of all processors but the first; 0 if the table does not name it."""
        return self._number(SEV_RESET)

    def sev(self) -> SevMetadata:
        """The SEV metadata; ParseError if it is missing or cannot be launched."""
        return SevMetadata(
            sections=self._sections(SEV_METADATA, b"ASEV", 12, _sev_section),
            hashes=self.hashes,
            reset=self.reset,
        )

    def tdx(self) -> tuple[TdxSection, ...]:
        """The TDX sections in order; ParseError if they are missing, or one ends beyond the end of the file."""
        sections = self._sections(TDX_METADATA, b"TDVF", 32, _tdx_section)
        for i, section in enumerate(sections):
            if section.offset + section.raw_size > len(self.raw):
                end = section.offset + section.raw_size
                raise _wrong(
                    "tdx-beyond",
                    f"TDX section {i} ends at byte {end} of a file of {len(self.raw)} bytes",
                    offset=len(self.raw),
                    hint="this is part of a firmware, such as OVMF_CODE without its variables; give the complete file",
                )
        _bounded(tuple(section for section in sections if not section.attributes & AUGMENT))
        return sections

    def svsm_entry(self) -> int:
        """The offset of an SVSM's entry point; ParseError if this is not an SVSM."""
        if SVSM_INFO not in self.table:
            raise _wrong("svsm", "the table has no entry point of an SVSM")
        return self._number(SVSM_INFO)

    def _number(self, guid: UUID) -> int:
        data = self.table.get(guid, bytes(4))
        if len(data) < 4:
            raise _wrong("table", f"entry {guid} of {len(data)} bytes, wanted at least 4")
        return int.from_bytes(data[:4], "little")

    def _sections(
        self, guid: UUID, magic: bytes, size: int, read_section: Callable[[Reader], Section]
    ) -> tuple[Section, ...]:
        if guid not in self.table:
            hint = "use another build of OVMF (Debian: ovmf-amdsev for SNP with a kernel, OVMF.fd of trixie for TDX)"
            raise _wrong(
                "metadata", f"no {magic.decode()} metadata, so this firmware cannot be launched this way", hint=hint
            )
        read = Reader(self.raw, WHAT, code="firmware")
        read.seek(len(self.raw) - self._number(guid))
        if read.take(4) != magic:
            raise read.error("metadata", f"wanted {magic.decode()} at the offset in the table")
        length, version, count = read.numbers(4, 4, 4)
        if version != 1 or length != 16 + count * size:
            raise read.error("metadata", f"{magic.decode()} version {version} of {length} bytes with {count} sections")
        if not 0 < count <= read.left // size:
            raise read.error("metadata", f"{count} sections in {read.left} bytes")
        return tuple(read_section(read) for _ in range(count))


def _table(data: bytes) -> dict[UUID, bytes]:
    read = Reader(data, WHAT, code="firmware")
    read.seek(len(data) - BEHIND_TABLE - ENTRY)
    total, footer = read.number(2), UUID(bytes_le=read.take(16))
    if footer != FOOTER:
        return {}
    if not ENTRY <= total <= len(data) - BEHIND_TABLE:
        raise read.error("table", f"table of {total} bytes")
    end = len(data) - BEHIND_TABLE - ENTRY
    start = end + ENTRY - total
    table: dict[UUID, bytes] = {}
    while end > start:
        read.seek(max(end - ENTRY, 0))
        size, guid = read.number(2), UUID(bytes_le=read.take(16))
        if not ENTRY <= size <= end - start or guid in table:
            raise read.error("table", f"entry {guid} of {size} bytes: wrong size, or repeated")
        table[guid] = data[end - size : end - ENTRY]
        end -= size
    return table


def _sev_section(read: Reader) -> SevSection:
    address, size, type = read.numbers(4, 4, 4)
    return SevSection(address=address, size=size, type=type)


def _tdx_section(read: Reader) -> TdxSection:
    offset, raw_size, address, size, type, attributes = read.numbers(4, 4, 8, 8, 4, 4)
    if type not in TDX_TYPES or attributes & ~(EXTEND | AUGMENT):
        raise read.error("tdx-section", f"TDX section of unknown type {type} or attributes {attributes:#x}")
    if raw_size > size or (attributes & EXTEND and attributes & AUGMENT):
        raise read.error("tdx-section", f"TDX section of {raw_size} bytes in {size}, attributes {attributes:#x}")
    return TdxSection(offset=offset, raw_size=raw_size, address=address, size=size, type=type, attributes=attributes)


def _bounded(sections: tuple[Section, ...]) -> None:
    """Require whole pages, no overlap, and at most MAX_PAGES pages."""
    end = pages = 0
    for section in sorted(sections, key=_address):
        if section.address % PAGE or section.size % PAGE or not section.size:
            raise _wrong("section", f"section at {section.address:#x} of {section.size:#x} bytes: not whole pages")
        if section.address < end:
            raise _wrong("section", f"section at {section.address:#x} begins within another")
        end = section.address + section.size
        pages += section.size // PAGE
    if pages > MAX_PAGES:
        raise _wrong("section", f"sections of {pages} pages, at most {MAX_PAGES}")


def _address(section: SevSection | TdxSection) -> int:
    return section.address


def _wrong(kind: str, message: str, *, offset: int = 0, hint: str = "") -> ParseError:
    return ParseError(f"firmware-{kind}", f"{WHAT}: {message}", what=WHAT, offset=offset, hint=hint)
