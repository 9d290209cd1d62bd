"""What a whole Keep may take, and what of it is for which part: one place for tenant, host and Keep.

Sizes in bytes, all measured on x86_64; bench/bombs.py measures what Keeps take against them.
"""

from __future__ import annotations

MIB = 1 << 20
PAGE = 4096

BASE = 64 * MIB
"""A Keep without its workload: four Python processes (20 MiB measured), buffers of a delivery, and 8 MiB of secrets."""

ATTESTER = 64 * MIB
"""Private memory of the attester: what its fork of a zygote is given to begin with, and 64 KiB of evidence."""

TABLE_ELEMENTS = 1 << 18
"""Elements of one table. The largest of the real modules that were measured has 9,403 (esbuild)."""

TABLE_COUNT = 4
"""Tables of one module. A compiler makes one, wasm-bindgen a second one for references."""

TABLES = TABLE_COUNT * TABLE_ELEMENTS * 8 * 3
"""Bytes of all tables at their limit: 8 an element, twice that where a table grows, and the old one beside it."""

CODE_SHARE = 8
"""The runner holds machine code beside its memory: an eighth of what making it may take, which has room for three copies of it."""

COMPILE_BASE = 128 * MIB
COMPILE_FACTOR = 64
"""Bytes that compiling takes for each byte of a module. Measured: 42 (DuckDB, 39 MB), 30 (esbuild, Go, 14 MB)."""

COMPILE = COMPILE_BASE + 4 * COMPILE_FACTOR * MIB
"""The allowance where a launch names none: enough for a module of 4 MiB."""

CPU_BASE = 60
CPU_PER_MIB = 16
"""Seconds of processor time for a module. Measured: 3 a MiB at most; a slow core may take four times as long."""

WALL_FACTOR = 5
"""The compiler's wall clock against its processor time: a machine may be that busy, and is not to be waited for longer."""


OWN_FILES = 3 + 16
"""Descriptors of the runner beside those of `limits.open_files`: stdio, orders, and what wasmtime opens for polling."""


def compile_allowance(module_size: int) -> int:
    """Bytes that the compiler may take where `limits.compile` is not given."""
    return COMPILE_BASE + COMPILE_FACTOR * module_size


def compile_seconds(module_size: int) -> int:
    """Seconds of processor time that compiling a module may take."""
    return CPU_BASE + CPU_PER_MIB * (module_size // MIB)


def process_memory(*, memory: int, compile: int) -> int:
    """The most that one process of a Keep may take of private memory."""
    return BASE + TABLES + max(memory + compile // CODE_SHARE, compile)


def keep_memory(*, memory: int, compile: int, disk: int) -> int:
    """The most that a whole Keep may take, in pages: its files are in memory too. Running and compiling do not overlap."""
    return -(-(process_memory(memory=memory, compile=compile) + disk) // PAGE) * PAGE


def processes(cpus: int) -> int:
    """The most processes and threads of a Keep: keeper, attester, compiler and runner; wasmtime starts some for each CPU."""
    return 64 + 4 * cpus
