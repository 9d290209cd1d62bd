"""The resources that a Keep may use, in one place for tenant, host and Keep.

The tenant computes with these bounds before a launch, the host enforces them with a cgroup, and the Keep divides them
among its processes. Sizes are in bytes, measured on x86_64; bench/bombs.py compares real Keeps with them.
"""

from __future__ import annotations

MIB = 1 << 20
PAGE = 4096

BASE = 64 * MIB
"""A Keep without its workload: its four Python processes (20 MiB measured), delivery buffers, and 8 MiB of secrets."""

ATTESTER = 64 * MIB
"""The limit on the private memory of the attester: what its fork of a zygote starts with, and 64 KiB of evidence."""

TABLE_ELEMENTS = 1 << 18
"""Elements of one table. The largest table in a real module had 9,403 (esbuild)."""

TABLE_COUNT = 4
"""Tables of one module. Compilers emit one, and wasm-bindgen a second for references."""

TABLES = TABLE_COUNT * TABLE_ELEMENTS * 8 * 3
"""Bytes of all tables at their limit: 8 per element, and three times that while a table is copied to grow."""

CODE_SHARE = 8
"""The machine code in the runner may take an eighth of the compiler's allowance: room for three copies of it."""

COMPILE_BASE = 128 * MIB
COMPILE_FACTOR = 64
"""Bytes of compiler memory per byte of a module. Measured: 42 (DuckDB, 39 MB), 30 (esbuild, Go, 14 MB)."""

COMPILE = COMPILE_BASE + 4 * COMPILE_FACTOR * MIB
"""The default allowance of a launch: enough for a module of 4 MiB."""

CPU_BASE = 60
CPU_PER_MIB = 16
"""Seconds of processor time per module. Measured: at most 3 per MiB; a slow core may take four times as long."""

WALL_FACTOR = 5
"""The compiler's wall-clock limit as a multiple of its processor time, for machines that are busy."""


OWN_FILES = 3 + 16
"""Descriptors of the runner besides `limits.open_files`: stdio, orders, and wasmtime's own for polling."""


def results_size(disk: int) -> int:
    """The limit on the stream of a workload's results, in bytes, for a `limits.disk`: the files, and room for their names."""
    return disk + MIB


def compile_allowance(module_size: int) -> int:
    """The default of `limits.compile` in bytes, for a module of `module_size` bytes."""
    return COMPILE_BASE + COMPILE_FACTOR * module_size


def compile_seconds(module_size: int) -> int:
    """The limit on the compiler's processor time in seconds."""
    return CPU_BASE + CPU_PER_MIB * (module_size // MIB)


def process_memory(*, memory: int, compile: int) -> int:
    """The limit on the private memory of one process of a Keep, in bytes."""
    return BASE + TABLES + max(memory + compile // CODE_SHARE, compile)


def keep_memory(*, memory: int, compile: int, disk: int) -> int:
    """The limit on the memory of a whole Keep in bytes, in whole pages.

    It includes the Keep's files, which are in memory too. Compiling and running never overlap, so the larger counts.
    """
    return -(-(process_memory(memory=memory, compile=compile) + disk) // PAGE) * PAGE


def processes(cpus: int) -> int:
    """The limit on processes and threads of a Keep together; wasmtime starts some threads for each CPU."""
    return 64 + 4 * cpus
