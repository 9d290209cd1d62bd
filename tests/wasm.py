"""WebAssembly modules made byte by byte, valid or not, where the text format would allow valid modules alone."""

from __future__ import annotations

from collections.abc import Iterable

HEADER = b"\0asm\1\0\0\0"
I32, I64 = b"\x7f", b"\x7e"
TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT, TAG = range(1, 14)
FUNC, TABLES, MEM, GLOBALS = b"\0", b"\1", b"\2", b"\3"


def leb(value: int) -> bytes:
    """An unsigned integer, as short as possible."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def sized(data: bytes) -> bytes:
    return leb(len(data)) + data


def name(text: str | bytes) -> bytes:
    return sized(text.encode() if isinstance(text, str) else text)


def vector(entries: Iterable[bytes]) -> bytes:
    every = list(entries)
    return leb(len(every)) + b"".join(every)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + sized(content)


def custom(text: str | bytes, content: bytes = b"") -> bytes:
    return section(0, name(text) + content)


def functype(parameters: bytes = b"", results: bytes = b"") -> bytes:
    return b"\x60" + sized(parameters) + sized(results)


def imported(module: str, field: str, kind: bytes = FUNC, type: bytes = b"\0") -> bytes:
    return name(module) + name(field) + kind + type


def limits(minimum: int, maximum: int | None = None, flags: int = 0) -> bytes:
    return bytes([flags | (maximum is not None)]) + leb(minimum) + (b"" if maximum is None else leb(maximum))


def table(size: bytes, element: bytes = b"\x70") -> bytes:
    return element + size


def export(field: str, kind: bytes = FUNC, index: int = 0) -> bytes:
    return name(field) + kind + leb(index)


def module(*sections: bytes) -> bytes:
    return HEADER + b"".join(sections)


def program(
    *,
    types: Iterable[bytes] = (),
    imports: Iterable[bytes] = (),
    tables: Iterable[bytes] = (),
    memories: Iterable[bytes] = (),
    exports: Iterable[bytes] | None = None,
    start: str = "_start",
    extra: bytes = b"",
) -> bytes:
    """A valid module unless an argument makes it invalid: one function of type () -> () without a body, exported as `start`."""
    every, needed = list(types), list(imports)
    index = sum(field[-2:-1] == FUNC for field in needed)
    parts = [section(TYPE, vector([*every, functype()]))]
    parts += [section(IMPORT, vector(needed))] if needed else []
    parts += [section(FUNCTION, vector([leb(len(every))]))]
    parts += [section(TABLE, vector(tables))] if tables else []
    parts += [section(MEMORY, vector(memories))] if memories else []
    parts += [section(EXPORT, vector([export(start, FUNC, index)] if exports is None else exports))]
    parts += [section(CODE, vector([sized(b"\0\x0b")])), extra]
    return module(*parts)
