"""A workload that makes every kind of call of WASI preview 1, and traps on demand."""

from __future__ import annotations

import wasmtime

SIGNATURES = {
    "clock_res_get": "ii",
    "clock_time_get": "iIi",
    "fd_advise": "iIIi",
    "fd_close": "i",
    "fd_datasync": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_filestat_get": "ii",
    "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi",
    "fd_pread": "iiiIi",
    "fd_prestat_get": "ii",
    "fd_pwrite": "iiiIi",
    "fd_read": "iiii",
    "fd_readdir": "iiiIi",
    "fd_seek": "iIii",
    "fd_sync": "i",
    "fd_write": "iiii",
    "path_create_directory": "iii",
    "path_filestat_get": "iiiii",
    "path_filestat_set_times": "iiiiIIi",
    "path_link": "iiiiiii",
    "path_open": "iiiiiIIii",
    "path_readlink": "iiiiii",
    "path_remove_directory": "iii",
    "path_rename": "iiiiii",
    "path_symlink": "iiiii",
    "path_unlink_file": "iii",
    "poll_oneoff": "iiii",
    "random_get": "ii",
    "sched_yield": "",
}
TYPES = {"i": "i32", "I": "i64"}
ROOT, FD_AT, IOV_AT, OUT_AT, BUFFER_AT, SLEEP_AT, TEXTS_AT, RESULTS_AT = 3, 64, 72, 88, 2048, 512, 1024, 4096
SLEEP_NANOSECONDS = 5_000_000
RIGHTS = 0x1FFFFFFF
CREATE, APPEND_FLAG, DIRECTORY = 1, 1, 2
ABSENT = 44
"""WASI's ENOENT."""

TEXTS = ("dir", "dir/file", "dir/moved", "hard", "soft", "none", "content.")
AT = {text: TEXTS_AT + 16 * index for index, text in enumerate(TEXTS)}


def path(text: str) -> tuple[int, int]:
    return AT[text], len(text)


def opened(text: str, flags: int = 0, rights: int = RIGHTS) -> tuple[object, ...]:
    return ("path_open", ROOT, 0, *path(text), flags, rights, rights, 0, FD_AT)


FD = f"(i32.load (i32.const {FD_AT}))"
DIRECTORY_RIGHTS = 1 << 14
STEPS: tuple[tuple[object, ...], ...] = (
    ("fd_prestat_get", ROOT, BUFFER_AT),
    ("path_create_directory", ROOT, *path("dir")),
    opened("dir/file", CREATE),
    ("fd_write", FD, IOV_AT, 1, OUT_AT),
    ("fd_pwrite", FD, IOV_AT, 1, 100, OUT_AT),
    ("fd_seek", FD, 0, 0, OUT_AT),
    ("fd_read", FD, IOV_AT, 1, OUT_AT),
    ("fd_pread", FD, IOV_AT, 1, 2, OUT_AT),
    ("fd_filestat_set_size", FD, 4096),
    ("fd_advise", FD, 0, 0, 0),
    ("fd_sync", FD),
    ("fd_datasync", FD),
    ("fd_fdstat_get", FD, BUFFER_AT),
    ("fd_fdstat_set_flags", FD, APPEND_FLAG),
    ("fd_filestat_get", FD, BUFFER_AT),
    ("fd_filestat_set_times", FD, 1, 1, 5),
    ("fd_close", FD),
    ("path_rename", ROOT, *path("dir/file"), ROOT, *path("dir/moved")),
    ("path_link", ROOT, 0, *path("dir/moved"), ROOT, *path("hard")),
    ("path_symlink", *path("hard"), ROOT, *path("soft")),
    ("path_readlink", ROOT, *path("soft"), BUFFER_AT, 64, OUT_AT),
    ("path_filestat_get", ROOT, 1, *path("soft"), BUFFER_AT),
    ("path_filestat_set_times", ROOT, 0, *path("hard"), 7, 7, 5),
    ("path_filestat_set_times", ROOT, 0, *path("soft"), 7, 7, 5),
    opened("dir", DIRECTORY, DIRECTORY_RIGHTS),
    ("fd_readdir", FD, BUFFER_AT, 1024, 0, OUT_AT),
    ("fd_close", FD),
    ("path_unlink_file", ROOT, *path("dir/moved")),
    ("path_remove_directory", ROOT, *path("dir")),
    ("path_filestat_get", ROOT, 0, *path("none"), BUFFER_AT),
    ("clock_res_get", 1, OUT_AT),
    ("clock_time_get", 0, 0, OUT_AT),
    ("clock_time_get", 1, 0, OUT_AT),
    ("random_get", BUFFER_AT, 64),
    ("sched_yield",),
    ("poll_oneoff", SLEEP_AT, BUFFER_AT, 1, OUT_AT),
)
EXPECTED = [ABSENT if step[-3:-2] == (AT["none"],) else 0 for step in STEPS]
TRAPS = {
    "unreachable": "unreachable",
    "beyond": "(drop (i32.load (i32.const 0x7fffffff)))",
    "deep": "(call $deep) (call $deep)",
    "spin": "(loop $again (br $again))",
}
"""Bodies of further exports, each of which ends in a trap."""

MEMORY = 8 << 20
"""Bytes that the store should allow: the first growth stays within, the second would not."""

GROWN, REFUSED = 1, 0xFF


def workload() -> bytes:
    """A module that makes each step, grows its memory within and beyond its limit, and writes all the results."""
    imports = "".join(_import(name, signature) for name, signature in SIGNATURES.items())
    data = "".join(f'(data (i32.const {at}) "{text}")' for text, at in AT.items())
    steps = "".join(_store(index, _call(step)) for index, step in enumerate(STEPS))
    grow = _store(len(STEPS), "(memory.grow (i32.const 15))") + _store(len(STEPS) + 1, "(memory.grow (i32.const 4096))")
    write = _iov(RESULTS_AT, len(STEPS) + 2) + f"(drop {_call(('fd_write', 1, IOV_AT, 1, OUT_AT))})"
    sleep = f"(i32.store (i32.const {SLEEP_AT + 16}) (i32.const 1))"
    sleep += f"(i64.store (i32.const {SLEEP_AT + 24}) (i64.const {SLEEP_NANOSECONDS}))"
    body = _iov(*path("content.")) + sleep + steps + grow + write
    traps = "".join(f'(func ${name} (export "{name}") {code})' for name, code in TRAPS.items())
    text = f'(module {imports} (memory (export "memory") 1) {data} (func (export "_start") {body}) {traps})'
    return bytes(wasmtime.wat2wasm(text))


def told(output: bytes) -> list[tuple[str, int, int]]:
    """Each step, the error number that the workload wrote for it, and the one to expect."""
    names = [f"{index} {step[0]}" for index, step in enumerate(STEPS)]
    expected = [*EXPECTED, GROWN, REFUSED]
    return list(zip([*names, "grow", "grow too far"], output, expected, strict=True))


def _import(name: str, signature: str) -> str:
    parameters = " ".join(TYPES[x] for x in signature)
    head = f'(import "wasi_snapshot_preview1" "{name}"'
    return f"{head} (func ${name} (param {parameters}) (result i32)))"


def _call(step: tuple[object, ...]) -> str:
    name, *arguments = step
    signature = SIGNATURES[str(name)]
    assert len(signature) == len(arguments), name
    words = (
        x if isinstance(x, str) else f"({TYPES[kind]}.const {x})" for kind, x in zip(signature, arguments, strict=True)
    )
    return f"(call ${name} {' '.join(words)})"


def _store(index: int, value: str) -> str:
    return f"(i32.store8 (i32.const {RESULTS_AT + index}) {value})"


def _iov(at: int, size: int) -> str:
    fields = ((IOV_AT, at), (IOV_AT + 4, size))
    return "".join(f"(i32.store (i32.const {where}) (i32.const {value}))" for where, value in fields)
