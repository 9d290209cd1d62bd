"""PE/COFF files as UEFI loads and measures them (Microsoft PE Format; UEFI 2.10, 2.1.1).

Authenticode covers the bytes listed in Windows Authenticode Portable Executable Signature Format, "Calculating the PE Image
Hash". As in edk2 (SecurityPkg/Library/DxeTpm2MeasureBootLib), a file without a signature is not padded.
"""

from __future__ import annotations

from typing import Self

from enarx.errors import ParseError
from enarx.formats.reader import Reader
from enarx.record import record

WHAT = "PE file"
MAX_SIZE = 1 << 30
MAX_SECTIONS = 96
MAGICS = {0x10B: 96, 0x20B: 112}
"""The magic of the optional header, PE32 or PE32+, with the offset of its data directories."""

CHECKSUM, HEADERS_SIZE, SECURITY = 64, 60, 4


@record()
class Section:
    """A section: its name, its size in memory, and the place of its bytes in the file."""

    name: str
    virtual_size: int
    offset: int
    size: int


@record(hidden=("raw",))
class PeFile:
    """A PE file. No signature covers the fields at the offsets `checksum` and `directory`.

    `directory` is 0 in files without a security directory. `signatures` is the size of the signatures at the end of the
    file, and `headers` the size of all headers.
    """

    checksum: int
    directory: int
    headers: int
    signatures: int
    sections: tuple[Section, ...]
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A PE file whose sections do not overlap and whose signatures come last; ParseError."""
        if len(data) > MAX_SIZE:
            raise _wrong("size", f"{len(data)} bytes, at most {MAX_SIZE}", len(data))
        read = Reader(data, WHAT, code="pe")
        if read.take(2) != b"MZ":
            raise read.error("magic", "does not begin with MZ", hint="build a Linux kernel with its EFI stub")
        read.seek(0x3C)
        read.seek(read.number(4))
        if read.take(4) != b"PE\0\0":
            raise read.error("magic", "no PE signature at the offset in the header")
        count, size = _coff(read)
        optional = read.at
        header = Reader(read.take(size), "PE optional header", code="pe")
        magic = header.number(2)
        if magic not in MAGICS:
            raise read.error("magic", f"optional header {magic:#x}, wanted PE32 or PE32+")
        header.seek(HEADERS_SIZE)
        headers = header.number(4)
        header.seek(MAGICS[magic] - 4)
        directory, where, length = 0, 0, 0
        if header.number(4) > SECURITY:
            header.seek(MAGICS[magic] + 8 * SECURITY)
            directory = optional + header.at
            where, length = header.numbers(4, 4)
        sections = tuple(_section(read) for _ in range(count))
        if not read.at <= headers <= len(data):
            raise read.error("headers", f"headers of {headers} bytes in a file of {len(data)}")
        file = cls(
            checksum=optional + CHECKSUM,
            directory=directory,
            headers=headers,
            signatures=length,
            sections=sections,
            raw=data,
        )
        file._check(where)
        return file

    def measured(self) -> tuple[memoryview, ...]:
        """The pieces that Authenticode covers, in order."""
        view = memoryview(self.raw)
        pieces = [view[: self.checksum]]
        if self.directory:
            pieces += [view[self.checksum + 4 : self.directory], view[self.directory + 8 : self.headers]]
        else:
            pieces.append(view[self.checksum + 4 : self.headers])
        pieces += [view[s.offset : s.offset + s.size] for s in self._stored()]
        return (*pieces, view[self._covered() : len(self.raw) - self.signatures])

    def section(self, name: str) -> bytes | None:
        """The content of the named section without padding, or None.

        ParseError if the name is repeated, or the section is larger in memory than in the file.
        """
        sections = [s for s in self.sections if s.name == name]
        if not sections:
            return None
        section = sections[0]
        if len(sections) > 1 or section.virtual_size > section.size:
            raise _wrong("section", f"section {name} repeated, or larger in memory than in the file", section.offset)
        return self.raw[section.offset : section.offset + section.virtual_size]

    def _stored(self) -> list[Section]:
        return sorted((s for s in self.sections if s.size), key=lambda s: s.offset)

    def _covered(self) -> int:
        """The size of headers and sections together; edk2 hashes the rest of the file from that offset."""
        return self.headers + sum(s.size for s in self._stored())

    def _check(self, signatures_at: int) -> None:
        end = self.headers
        for section in self._stored():
            if section.offset < end:
                raise _wrong("section", f"section {section.name!r} overlaps the preceding bytes", section.offset)
            end = section.offset + section.size
        if end > len(self.raw):
            raise _wrong("section", f"sections end at byte {end} of {len(self.raw)}", end)
        if self.signatures and (signatures_at < end or signatures_at + self.signatures != len(self.raw)):
            raise _wrong("signatures", "signatures that are not at the end of the file", signatures_at)


def _coff(read: Reader) -> tuple[int, int]:
    """The number of sections and the size of the optional header."""
    _, count, _, _, _, size, _ = read.numbers(2, 2, 4, 4, 4, 2, 2)
    if count > MAX_SECTIONS:
        raise read.error("sections", f"{count} sections, at most {MAX_SECTIONS}")
    return count, size


def _section(read: Reader) -> Section:
    name = read.take(8).rstrip(b"\0")
    virtual_size, _, size, offset = read.numbers(4, 4, 4, 4)
    read.take(16)
    if not name.isascii():
        raise read.error("section", "a section whose name is not ASCII")
    return Section(name=name.decode(), virtual_size=virtual_size, offset=offset, size=size)


def _wrong(kind: str, message: str, offset: int) -> ParseError:
    return ParseError(f"pe-{kind}", f"{WHAT}: {message}", what=WHAT, offset=offset)
