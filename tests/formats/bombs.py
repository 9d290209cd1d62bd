"""Families of hostile input, each of any size, that cost a careless parser far more than their bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests import wasm

Family = Callable[[int], bytes]


def head(major: int, size: int) -> bytes:
    """The shortest head of a CBOR item."""
    if size < 24:
        return bytes([major << 5 | size])
    width = next(w for w in range(4) if size < 1 << (8 << w))
    return bytes([major << 5 | 24 + width]) + size.to_bytes(1 << width, "big")


def fill(piece: bytes, size: int) -> bytes:
    return (piece * (size // len(piece) + 1))[:size]


def array(piece: bytes, size: int) -> bytes:
    count = size // len(piece)
    return head(4, count) + piece * count


def names(size: int) -> list[bytes]:
    """Sorted, distinct texts of five bytes; as keys of a map with small values they take about `size` bytes."""
    return [b"%05x" % i for i in range(size // 7)]


def text_map(size: int, value: bytes = b"\x00") -> bytes:
    keys = names(size)
    return head(5, len(keys)) + b"".join(head(3, len(k)) + k + value for k in keys)


def number_map(size: int) -> bytes:
    count = size // 10
    return head(5, count) + b"".join(head(0, (1 << 40) + (i << 20)) + b"\x00" for i in range(count))


def shared(size: int) -> bytes:
    """Tags 28 and 29: each array contains the previous one twice, so the value doubles every few bytes."""
    value = b"\xd8\x1c\x80"
    for i in range(min(size // 8, 64)):
        value = b"\xd8\x1c\x82" + value + b"\xd8\x1d" + head(0, i)
    return value


def wide(size: int) -> bytes:
    """The same within six levels, as in messages: each array contains the previous one many times."""
    width = max(2, min(size // 20, 60_000))
    levels = [b"\x00" * width, *(b"\xd8\x1d" + head(0, i) for i in range(5))]
    arrays = [levels[0], *(reference * width for reference in levels[1:])]
    return head(4, len(arrays)) + b"".join(b"\xd8\x1c" + head(4, width) + items for items in arrays)


def strings(size: int) -> bytes:
    """Tags 256 and 25: one long text, and references to it as keys of maps."""
    text = head(3, size // 2) + b"x" * (size // 2)
    count = size // 8
    return b"\xd9\x01\x00" + head(4, count + 1) + text + (b"\xd8\x19\x00" * count)


CBOR: dict[str, Family] = {
    "nested arrays": lambda n: b"\x81" * n + b"\x00",
    "nested maps": lambda n: b"\xa1\x60" * (n // 2) + b"\x00",
    "nested tags": lambda n: b"\xc1" * n + b"\x00",
    "nested indefinite arrays": lambda n: b"\x9f" * n,
    "empty arrays": lambda n: array(b"\x80", n),
    "empty maps": lambda n: array(b"\xa0", n),
    "small numbers": lambda n: array(b"\x01", n),
    "long numbers": lambda n: array(b"\x1b" + b"\xff" * 8, n),
    "short texts": lambda n: array(b"\x62aa", n),
    "pairs of empty arrays": lambda n: array(b"\x82\x80\x80", n),
    "map of many texts": text_map,
    "map of many texts and arrays": lambda n: text_map(n, b"\x80"),
    "map of many numbers": number_map,
    "map of one key again and again": lambda n: head(5, n // 3) + b"\x61a\x00" * (n // 3),
    "one long text": lambda n: head(3, n) + b"x" * n,
    "one long byte string": lambda n: head(2, n) + b"x" * n,
    "a text in pieces": lambda n: b"\x7f" + b"\x61x" * (n // 2) + b"\xff",
    "a list without end": lambda n: b"\x9f" + b"\x00" * n + b"\xff",
    "huge declared array": lambda n: b"\x9b" + b"\x0f" + b"\xff" * 7 + b"\x00" * n,
    "huge declared arrays": lambda n: fill(b"\x9b\x00\x00\x00\x0f\xff\xff\xff\xff", n),
    "huge declared map": lambda n: b"\xbb" + b"\x0f" + b"\xff" * 7 + b"\x00" * n,
    "huge declared text": lambda n: b"\x7b" + b"\x0f" + b"\xff" * 7 + b"x" * n,
    "big number": lambda n: b"\xc2" + head(2, n) + b"\xff" * n,
    "big numbers": lambda n: array(b"\xc2\x49" + b"\x01" * 9, n),
    "decimal fraction": lambda n: b"\xc4\x82\x1b" + b"\x7f" * 8 + b"\xc2" + head(2, n) + b"\xff" * n,
    "regular expression": lambda n: b"\xd8\x23" + head(3, n) + b"(" * n,
    "set": lambda n: b"\xd9\x01\x02" + array(b"\x01", n),
    "shared references": shared,
    "wide shared references": wide,
    "string references": strings,
}
"""Families of CBOR; the argument is the approximate size in bytes."""

JSON: dict[str, Family] = {
    "nested arrays": lambda n: b"[" * n,
    "nested objects": lambda n: b'{"a":' * (n // 5),
    "whole nested arrays": lambda n: b"[" * (n // 2) + b"]" * (n // 2),
    "nested in an object": lambda n: b'{"items":' + b"[" * (n // 2) + b"]" * (n // 2) + b"}",
    "empty arrays": lambda n: b"[" + b"[]," * (n // 3) + b"0]",
    "empty objects": lambda n: b"[" + b"{}," * (n // 3) + b"0]",
    "many keys": lambda n: b"{" + b",".join(b'"%06x":0' % i for i in range(n // 11)) + b"}",
    "one key again and again": lambda n: b"{" + b'"a":0,' * (n // 6) + b'"a":0}',
    "a number of many digits": lambda n: b"9" * n,
    "many long numbers": lambda n: b"[" + (b"9" * 4000 + b",") * (n // 4001) + b"0]",
    "a long text": lambda n: b'"' + b"x" * n + b'"',
    "a text of escapes": lambda n: b'"' + b"\\ud800" * (n // 6) + b'"',
    "a text without end": lambda n: b'"' + b"\\" * n,
    "spaces": lambda n: b" " * n,
    "an exponent": lambda n: b"1e" + b"9" * n,
}

TOML: dict[str, Family] = {
    "nested arrays": lambda n: b"a = " + b"[" * n,
    "nested tables": lambda n: b"a = " + b"{a = " * (n // 5),
    "a long key": lambda n: b".".join([b"a"] * (n // 2)) + b" = 1",
    "a long header": lambda n: b"[" + b".".join([b"a"] * (n // 2)) + b"]",
    "many keys": lambda n: b"\n".join(b"k%06x = 1" % i for i in range(n // 12)),
    "many headers": lambda n: b"\n".join(b"[k%06x]" % i for i in range(n // 10)),
    "many tables of one array": lambda n: b"[[dirs]]\n" * (n // 9),
    "many dotted keys": lambda n: b"\n".join(b"a.b.c.d.e.k%06x = 1" % i for i in range(n // 22)),
    "a long array": lambda n: b"args = [" + b"1," * (n // 2) + b"]",
    "a long array deep inside": lambda n: b"a = " + b"[" * 30 + b"1," * (n // 2) + b"]" * 30,
    "an array of arrays": lambda n: b"args = [" + b"[1]," * (n // 4) + b"]",
    "a number of many digits": lambda n: b"a = " + b"9" * n,
    "a hexadecimal number": lambda n: b"a = 0x" + b"f" * n,
    "quotes": lambda n: b"a = " + b'"' * n,
    "single quotes": lambda n: b"a = " + b"'" * n,
    "texts without end": lambda n: b'a = """' + b'"x' * (n // 2),
    "backslashes": lambda n: b'a = "' + b"\\" * n,
    "escapes": lambda n: b'a = "' + b"\\u0041" * (n // 6) + b'"',
    "comments": lambda n: b"#\n" * (n // 2),
    "spaces": lambda n: b" " * n,
    "lines": lambda n: b"\n" * n,
    "carriage returns": lambda n: b"\r\n" * (n // 2),
    "a long unknown key": lambda n: b"x" * n + b" = 1",
    "dots": lambda n: b"." * n,
    "brackets": lambda n: b"[]" * (n // 2),
}

RAW: dict[str, Family] = {
    "zeros": bytes,
    "ones": lambda n: b"\xff" * n,
    "PEM headers": lambda n: fill(b"-----BEGIN CERTIFICATE-----\n", n),
    "PEM headers and text": lambda n: b"-----BEGIN CERTIFICATE-----" + b"A" * n,
    "empty PEM blocks": lambda n: fill(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", n),
    "PEM of many certificates": lambda n: fill(b"-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n", n),
    "dashes": lambda n: b"-" * n,
    "base64": lambda n: b"MI" + b"A" * (n // 4 * 4 - 2),
    "nested DER": lambda n: b"\x30\x80" * (n // 2),
    "table of places": lambda n: fill(struct.pack("<16sII", b"\x01" * 16, 24, 0xFFFFFFFF), n),
    "table of one place": lambda n: fill(struct.pack("<16sII", b"\x8d" * 16, 24, n // 2), n),
}


def entries(section: int, each: bytes) -> Family:
    """A module with as many entries in one section as fit."""
    return lambda size: wasm.module(wasm.section(section, wasm.leb(size // len(each)) + each * (size // len(each))))


WASM: dict[str, Family] = {
    "custom sections": lambda size: wasm.module(wasm.custom("") * (size // 3)),
    "named sections": lambda size: wasm.module(*(wasm.custom(str(i)) for i in range(size // 8))),
    "imports": entries(wasm.IMPORT, wasm.imported("", "")),
    "imports of memories": entries(wasm.IMPORT, wasm.imported("", "", wasm.MEM, wasm.limits(1))),
    "imports that are known": entries(wasm.IMPORT, wasm.imported("wasi_snapshot_preview1", "fd_write")),
    "imports of many types": lambda size: wasm.module(
        wasm.section(
            wasm.IMPORT,
            wasm.vector(
                wasm.imported("wasi_snapshot_preview1", "fd_write", type=wasm.leb(i)) for i in range(size // 36)
            ),
        )
    ),
    "a type far away": lambda size: wasm.program(
        types=[wasm.functype()] * (size // 4),
        imports=[wasm.imported("wasi_snapshot_preview1", "fd_write", type=wasm.leb(size // 4 - 1))],
    ),
    "exports": entries(wasm.EXPORT, wasm.export("")),
    "memories": entries(wasm.MEMORY, wasm.limits(1)),
    "tables": entries(wasm.TABLE, wasm.table(wasm.limits(1))),
    "one long type": lambda size: wasm.program(
        types=[wasm.functype(wasm.I32 * size)], imports=[wasm.imported("wasi_snapshot_preview1", "fd_write")]
    ),
    "one long name": lambda size: wasm.module(wasm.custom(b"n" * size)),
    "one long integer": lambda size: wasm.HEADER + b"\x01" + b"\x80" * size,
    "sections of no kind": lambda size: wasm.HEADER + b"\x63" * size,
    "text": lambda size: b"a" * size,
    "a component": lambda size: b"\0asm\r\0\1\0" + bytes(size),
}
"""Modules of about `size` bytes that take as much of a reader as they can."""
