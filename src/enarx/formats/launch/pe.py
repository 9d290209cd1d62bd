"""PE/COFF files as UEFI loads them, as far as they are measured (Microsoft PE Format; UEFI 2.10, 2.1.1).

What Authenticode covers: Windows Authenticode Portable Executable Signature Format, "Calculating the PE Image Hash", as edk2
does it (SecurityPkg/Library/DxeTpm2MeasureBootLib): a file without signature is not padded.
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
"""Of the optional header: PE32 and PE32+, with the offset of its data directories."""

CHECKSUM, HEADERS_SIZE, SECURITY = 64, 60, 4


@record()
class Section:
    """One section: its name, its size in memory, and where its bytes lie in the file."""

    name: str
    virtual_size: int
    offset: int
    size: int


@record(hidden=("raw",))
class PeFile:
    """A PE file. `checksum` and `directory` are the offsets of what no signature covers; `signatures` is how many bytes at
    the end hold signatures; `headers` the size of all headers. `directory` is 0 in files that have no such entry.
    """

    checksum: int
    directory: int
    headers: int
    signatures: int
    sections: tuple[Section, ...]
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """ParseError for anything but a PE file whose sections lie in it without overlapping, signatures last."""
        if len(data) > MAX_SIZE:
            raise _wrong("size", f"{len(data)} bytes, at most {MAX_SIZE}", len(data))
        read = Reader(data, WHAT, code="pe")
        if read.take(2) != b"MZ":
            raise read.error("magic", "does not begin with MZ", hint="a Linux kernel has to be built with its EFI stub")
        read.seek(0x3C)
        read.seek(read.number(4))
        if read.take(4) != b"PE\0\0":
            raise read.error("magic", "no PE signature where the header points")
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
        made = cls(
            checksum=optional + CHECKSUM,
            directory=directory,
            headers=headers,
            signatures=length,
            sections=sections,
            raw=data,
        )
        made._check(where)
        return made

    def measured(self) -> tuple[memoryview, ...]:
        """The pieces that Authenticode covers, in its order."""
        view = memoryview(self.raw)
        pieces = [view[: self.checksum]]
        if self.directory:
            pieces += [view[self.checksum + 4 : self.directory], view[self.directory + 8 : self.headers]]
        else:
            pieces.append(view[self.checksum + 4 : self.headers])
        pieces += [view[s.offset : s.offset + s.size] for s in self._stored()]
        return (*pieces, view[self._covered() : len(self.raw) - self.signatures])

    def section(self, name: str) -> bytes | None:
        """The content of the section of this name, without padding; None if there is none.

        ParseError if there are two, or if more of it would lie in memory than in the file.
        """
        found = [s for s in self.sections if s.name == name]
        if not found:
            return None
        section = found[0]
        if len(found) > 1 or section.virtual_size > section.size:
            raise _wrong("section", f"section {name} twice, or larger in memory than in the file", section.offset)
        return self.raw[section.offset : section.offset + section.virtual_size]

    def _stored(self) -> list[Section]:
        return sorted((s for s in self.sections if s.size), key=lambda s: s.offset)

    def _covered(self) -> int:
        """Bytes hashed with headers and sections, which is where edk2 takes the rest to begin."""
        return self.headers + sum(s.size for s in self._stored())

    def _check(self, signatures_at: int) -> None:
        end = self.headers
        for section in self._stored():
            if section.offset < end:
                raise _wrong("section", f"section {section.name!r} overlaps what is before it", section.offset)
            end = section.offset + section.size
        if end > len(self.raw):
            raise _wrong("section", f"sections end at byte {end} of {len(self.raw)}", end)
        if self.signatures and (signatures_at < end or signatures_at + self.signatures != len(self.raw)):
            raise _wrong("signatures", "signatures that are not the end of the file", signatures_at)


def _coff(read: Reader) -> tuple[int, int]:
    """Number of sections, and size of the optional header."""
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
