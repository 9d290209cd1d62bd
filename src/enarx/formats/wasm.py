"""The outline of a WebAssembly core module: its sections, and the imports, exports, memories and tables that they declare.

The layout is that of the core specification, version 3.0, chapter 5 (Binary Format). Code and data are skipped by length, and
entries are read when a caller asks for them, so the cost depends on what is asked and not on the size of the module.

The outline explains a module to its owner before anything is sent. It does not validate, and a Keep never relies on it. It
raises ParseError only for bytes that every validator refuses. After MAX_ENTRIES entries it raises TooLong, which says
nothing about the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from enarx.formats.reader import Reader
from enarx.record import record

MAGIC = b"\0asm"
HEADER = MAGIC + b"\1\0\0\0"
"""The start of a core module: version 1, layer 0."""

COMPONENT = b"\1\0"
"""The layer of a component, at offset 6. Its version is not stable."""

CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT, TAG = range(14)
SECTIONS = (
    *("custom", "type", "import", "function", "table", "memory", "global", "export"),
    *("start", "element", "code", "data", "data count", "tag"),
)
"""The names of sections, by id."""

ORDER = (TYPE, IMPORT, FUNCTION, TABLE, MEMORY, TAG, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA)
"""The order of sections in a module. Each appears at most once; custom sections may stand anywhere."""

KINDS = ("function", "table", "memory", "global", "tag")
"""What an import or an export is, by its number."""

MAX_NAME = 100_000
"""Bytes of a name. Engines share this limit and the next, which are those of the JavaScript API."""

MAX_VALUES = 1000
"""Parameters or results of a function."""

MAX_ENTRIES = 100_000
"""Sections, imports, exports or types that are read, each by itself: less than half a second in all."""

MAX_PAGES = 65_536
"""Pages of a memory with 32-bit addresses: 4 GiB."""

PAGE = 65_536

HAS_MAXIMUM, SHARED, WIDE, CUSTOM_PAGE = 1, 2, 4, 8
"""Flags of limits. WIDE is 64-bit addresses."""

FUNCTION_TYPE = 0x60
REFERENCES = (0x63, 0x64)
"""Value types that a heap type follows."""

INITIALIZED = 0x40
"""Precedes a table type with an initializer, in place of the type of its elements."""


class TooLong(Exception):
    """The outline ends here: the module has more than MAX_ENTRIES entries of a kind."""


@record()
class Limits:
    """The size of a memory in pages, or of a table in elements. `flags` are those of the format."""

    minimum: int
    maximum: int | None
    flags: int


@record()
class Import:
    """An import. `type` is the index of a function's type, `limits` the size of a memory or a table."""

    module: str
    name: str
    kind: str
    type: int | None = None
    limits: Limits | None = None


class _Cursor(Reader):
    """A cursor that stays within one section. The integers of WebAssembly have a variable length (LEB128)."""

    def __init__(self, data: bytes, what: str, start: int, end: int) -> None:
        super().__init__(data, what, code="wasm")
        self.at = start
        self._end = end

    @property
    def left(self) -> int:
        """The number of bytes up to the end of the section."""
        return self._end - self.at

    def unsigned(self, bits: int = 32) -> int:
        """An unsigned integer of at most `bits` bits, in at most as many bytes as these need."""
        value = 0
        for index in range((bits + 6) // 7):
            at = self.at + index
            if at >= self._end:
                raise self.error("cut", "it ends within an integer")
            byte = self._data[at]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80 and not value >> bits:
                self.at = at + 1
                return value
        raise self.error("integer", f"an integer of more than {bits} bits")

    def count(self) -> int:
        """The length of a vector. Each entry takes a byte at least, so more entries than bytes are left is an error."""
        count = self.unsigned()
        if count > self.left:
            raise self.error("count", f"{count} entries, but {self.left} bytes are left")
        return count

    def name(self) -> str:
        """A name: UTF-8 of at most MAX_NAME bytes."""
        size = self.unsigned()
        if size > MAX_NAME:
            raise self.error("name", f"a name of {size} bytes, at most {MAX_NAME}")
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise self.error("name", "a name that is not UTF-8") from None

    def byte(self) -> int:
        """The next byte, as a number."""
        return self.take(1)[0]

    def next_is(self, byte: int) -> bool:
        """Whether the next byte is `byte`, which stays unread."""
        return self.left > 0 and self._data[self.at] == byte

    def value_type(self) -> int:
        """The first byte of a value type; the heap type of a reference is skipped."""
        kind = self.byte()
        if kind in REFERENCES:
            self.unsigned(35)  # signed, in at most five bytes
        return kind

    def value_types(self) -> bytes:
        """The parameters or the results of a function, a byte each."""
        count = self.unsigned()
        if count > MAX_VALUES:
            raise self.error("count", f"a function of {count} parameters or results, at most {MAX_VALUES}")
        return bytes([self.value_type() for _ in range(count)])

    def limits(self, known: int) -> Limits:
        """Limits whose flags are among those of the mask `known`."""
        flags = self.byte()
        if flags & ~known:
            raise self.error("limits", f"unknown flags {flags:#x}")
        bits = 64 if flags & WIDE else 32
        minimum = self.unsigned(bits)
        maximum = self.unsigned(bits) if flags & HAS_MAXIMUM else None
        if flags & CUSTOM_PAGE:
            self.unsigned()
        return Limits(minimum=minimum, maximum=maximum, flags=flags)

    def memory(self) -> Limits:
        """The type of a memory."""
        return self.limits(HAS_MAXIMUM | SHARED | WIDE | CUSTOM_PAGE)

    def table(self) -> Limits:
        """The type of a table."""
        self.value_type()
        return self.limits(HAS_MAXIMUM | SHARED | WIDE)


@record(hidden=("data", "spans"))
class Module:
    """The sections of a module. `spans` has start and end of each, by id; `customs` name, start and end of custom sections."""

    data: bytes
    spans: dict[int, tuple[int, int]]
    customs: tuple[tuple[str, int, int], ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The outline of a core module. ParseError, TooLong."""
        read = _Cursor(data, "WebAssembly module", 0, len(data))
        if read.take(min(len(HEADER), len(data))) != HEADER:
            raise read.error("header", "wanted a core module of version 1")
        spans: dict[int, tuple[int, int]] = {}
        customs: list[tuple[str, int, int]] = []
        place = -1
        for _ in range(MAX_ENTRIES):
            if not read.left:
                return cls(data=data, spans=spans, customs=tuple(customs))
            section, start, end = _section(read)
            if section == CUSTOM:
                inside = _Cursor(data, "custom section", start, end)
                customs.append((inside.name(), inside.at, end))
                continue
            if ORDER.index(section) <= place:
                raise read.error("order", f"the {SECTIONS[section]} section is out of order or repeated")
            place = ORDER.index(section)
            spans[section] = (start, end)
        raise TooLong

    def imports(self) -> Iterator[Import]:
        """Every import of the module, in order."""
        for read in self._entries(IMPORT):
            module, name, kind = read.name(), read.name(), read.byte()
            if kind == 0:
                yield Import(module=module, name=name, kind="function", type=read.unsigned())
            elif kind == 1:
                yield Import(module=module, name=name, kind="table", limits=read.table())
            elif kind == 2:
                yield Import(module=module, name=name, kind="memory", limits=read.memory())
            elif kind == 3:
                read.value_type()
                read.byte()  # whether it can change
                yield Import(module=module, name=name, kind="global")
            elif kind == 4:
                read.byte()  # reserved
                yield Import(module=module, name=name, kind="tag", type=read.unsigned())
            else:
                raise read.error("kind", f"an import of unknown kind {kind}")

    def exports(self) -> Iterator[tuple[str, str]]:
        """Name and kind of every export, in order."""
        for read in self._entries(EXPORT):
            name, kind = read.name(), read.byte()
            if kind >= len(KINDS):
                raise read.error("kind", f"an export of unknown kind {kind}")
            read.unsigned()
            yield name, KINDS[kind]

    def memories(self) -> Iterator[Limits]:
        """The memories that the module defines."""
        for read in self._entries(MEMORY):
            yield read.memory()

    def tables(self) -> Iterator[Limits | None]:
        """The tables that the module defines, up to the first with an initializer: None, and the last."""
        for read in self._entries(TABLE):
            if read.next_is(INITIALIZED):
                yield None
                return
            yield read.table()

    def types(self) -> Iterator[tuple[bytes, bytes] | None]:
        """Parameters and results of function types, a byte each, up to the first other type: None, and the last."""
        for read in self._entries(TYPE):
            if read.byte() != FUNCTION_TYPE:
                yield None
                return
            parameters = read.value_types()
            yield parameters, read.value_types()

    def producers(self) -> Iterator[tuple[str, str, str]]:
        """Field, name and version of every tool and language in the custom section `producers`.

        ParseError if that section has another layout, which validators do not look at.
        """
        for name, start, end in self.customs:
            if name != "producers":
                continue
            read = _Cursor(self.data, "producers section", start, end)
            for _ in range(read.count()):
                field = read.name()
                for _ in range(read.count()):
                    yield field, read.name(), read.name()

    def count(self, section: int) -> int:
        """The number of entries that a section declares; 0 without the section."""
        return self._cursor(section).unsigned() if section in self.spans else 0

    def _entries(self, section: int) -> Iterator[_Cursor]:
        """The cursor of a section, once for each of its entries, which the caller reads."""
        if section not in self.spans:
            return
        read = self._cursor(section)
        count = read.count()
        for _ in range(min(count, MAX_ENTRIES)):
            yield read
        if count > MAX_ENTRIES:
            raise TooLong

    def _cursor(self, section: int) -> _Cursor:
        return _Cursor(self.data, f"{SECTIONS[section]} section", *self.spans[section])


def _section(read: _Cursor) -> tuple[int, int, int]:
    """Id, start and end of the next section, whose content is skipped."""
    section = read.byte()
    if section >= len(SECTIONS):
        raise read.error("section", f"a section of unknown kind {section}")
    size = read.unsigned()
    if size > read.left:
        raise read.error("cut", f"the {SECTIONS[section]} section has {size} bytes, {read.left} are left")
    read.at += size
    return section, read.at - size, read.at
