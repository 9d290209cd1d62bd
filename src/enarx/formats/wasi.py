"""The functions of WASI preview 1, which a Keep provides to a workload, and their types.

The names and types are those of `wasi_snapshot_preview1.witx`. A pointer or a size is an i32.
"""

from __future__ import annotations

PREVIEW1 = "wasi_snapshot_preview1"
PREVIEW0 = "wasi_unstable"
MODULES = (PREVIEW1, PREVIEW0)
"""The modules that a program imports these functions from. PREVIEW0 is the name before the first snapshot, with the same types."""

FUNCTIONS = {
    "args_get": "ii",
    "args_sizes_get": "ii",
    "environ_get": "ii",
    "environ_sizes_get": "ii",
    "clock_res_get": "ii",
    "clock_time_get": "iIi",
    "random_get": "ii",
    "poll_oneoff": "iiii",
    "fd_advise": "iIIi",
    "fd_allocate": "iII",
    "fd_close": "i",
    "fd_datasync": "i",
    "fd_sync": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_fdstat_set_rights": "iII",
    "fd_filestat_get": "ii",
    "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi",
    "fd_pread": "iiiIi",
    "fd_pwrite": "iiiIi",
    "fd_read": "iiii",
    "fd_write": "iiii",
    "fd_prestat_get": "ii",
    "fd_prestat_dir_name": "iii",
    "fd_readdir": "iiiIi",
    "fd_renumber": "ii",
    "fd_seek": "iIii",
    "fd_tell": "ii",
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
    "proc_exit": "i",
    "proc_raise": "i",
    "sched_yield": "",
    "sock_accept": "iii",
    "sock_recv": "iiiiii",
    "sock_send": "iiiii",
    "sock_shutdown": "ii",
}
"""The parameters of each function: i is an i32, I an i64. The result is an i32, except that NO_RESULT have none."""

NO_RESULT = ("proc_exit",)
_TYPES = {"i": 0x7F, "I": 0x7E}


def provided(module: str, name: str) -> bool:
    """Whether a Keep provides this function."""
    return module in MODULES and name in FUNCTIONS


def type_of(name: str) -> tuple[bytes, bytes]:
    """Parameters and results of a function, a byte each, as in a module's type section."""
    return bytes([_TYPES[each] for each in FUNCTIONS[name]]), b"" if name in NO_RESULT else b"\x7f"
