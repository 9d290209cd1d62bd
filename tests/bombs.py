"""Generated modules that are expensive to compile or to run; the arguments are sizes."""

from __future__ import annotations

from collections.abc import Iterator

import wasmtime

END, BLOCK, LOOP, BR_TABLE, VOID = b"\x0b", b"\x02\x40", b"\x03\x40", b"\x0e", b"\x40"


def number(value: int) -> bytes:
    """An unsigned number in LEB128."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + number(len(content)) + content


def command(bodies: Iterator[bytes] | list[bytes], count: int) -> bytes:
    """A module of `count` functions without parameters, the first of them _start."""
    code = b"".join(number(len(body)) + body for body in bodies)
    return b"\0asm\1\0\0\0" + b"".join(
        (
            section(1, b"\x01\x60\x00\x00"),
            section(3, number(count) + bytes(count)),
            section(7, b"\x01\x06_start\x00\x00"),
            section(10, number(count) + code),
        )
    )


def locals_in_loops(*, variables: int = 49_000, depth: int = 4_000) -> bytes:
    """One function that changes each of its variables inside nested loops."""
    change = b"".join(b"\x20" + number(i) + b"\x41\x01\x6a\x21" + number(i) for i in range(variables))
    body = b"\x01" + number(variables) + b"\x7f" + LOOP * depth + change + END * depth + END
    return command([body], 1)


def branch_tables(*, tables: int = 400, targets: int = 4_000, depth: int = 1_000) -> bytes:
    """One function of many br_tables over deep blocks."""
    table = b"\x41\x00" + BR_TABLE + number(targets) + b"".join(number(i % depth) for i in range(targets)) + b"\x00"
    body = b"\x00" + BLOCK * depth + (BLOCK + table + END) * tables + END * depth + END
    return command([body], 1)


def many_functions(count: int = 1_000_000) -> bytes:
    """The largest number of functions in a module, each of them empty."""
    return command([b"\x00" + END] * count, count)


def text(source: str) -> bytes:
    return bytes(wasmtime.wat2wasm(source))


def growing_table(step: int = 4096) -> bytes:
    """A module that grows its table until that fails, then exits with the size of its elements in MiB."""
    return text(f"""(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (table $t 1 funcref) (memory (export "memory") 1)
      (func (export "_start")
        (loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const {step})) (i32.const -1))))
        (call $exit (i32.shr_u (table.size $t) (i32.const 17)))))""")


def large_tables(count: int, elements: int) -> bytes:
    """A module of `count` tables with at least `elements` elements each."""
    return text(f'(module {f"(table {elements} funcref)" * count} (func (export "_start")))')


def large_memory(pages: int) -> bytes:
    return text(f'(module (memory {pages}) (func (export "_start")))')


def endless_start() -> bytes:
    """A module whose start function never returns."""
    return text('(module (func $f (loop $l (br $l))) (start $f) (func (export "_start")))')


def ending_start(how: str) -> bytes:
    """A module whose start function ends the run: `how` calls $exit or traps."""
    return text(f"""(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (func $f {how}) (start $f) (memory (export "memory") 1) (func (export "_start")))""")
