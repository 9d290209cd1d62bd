"""Landlock: limits the files that a process may open, and forbids TCP and signals to processes outside.

Constants and structures are from <linux/landlock.h>. How much the kernel enforces depends on its version of the interface.
Version 1 cannot allow moving a file between directories, which a workload may do, so version 2 is the least.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

from enarx.keep.sandbox.kernel import syscall

LEAST = 2
"""The least usable version: Linux 5.19."""

_VERSION = 1
_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14

_READ = _READ_FILE | _READ_DIR
_WRITE = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER | _TRUNCATE

_FILE_RIGHTS = {2: 1 << 14, 3: 1 << 15, 5: 1 << 16}
"""By version of the interface: the file rights that it knows are all bits below this one."""

_NET_VERSION, _BIND_AND_CONNECT_TCP = 4, 0b11
_SCOPE_VERSION, _ABSTRACT_SOCKETS, _SIGNALS = 6, 0b01, 0b10


def version() -> int:
    """Return the kernel's version of the interface; OSError if it has no Landlock."""
    return syscall("landlock_create_ruleset", None, 0, _VERSION)


def usable() -> str:
    """Return a description of the version; OSError if it is too old for `restrict`."""
    abi = version()
    if abi < LEAST:
        raise OSError(errno.ENOSYS, f"interface version {abi}, wanted {LEAST}", "landlock")
    return f"version {abi}"


def restrict(*, signals: bool, read_only: Iterable[str], read_write: Iterable[str]) -> str:
    """Confine this thread to files beneath the given directories, for good; return a description. Needs no_new_privs.

    As far as the kernel's version allows, this also forbids TCP and abstract sockets of other processes and, with
    `signals`, signalling any process outside.
    """
    description, abi = usable(), version()
    net = _BIND_AND_CONNECT_TCP if abi >= _NET_VERSION else 0
    scopes = (_ABSTRACT_SOCKETS | (_SIGNALS if signals else 0)) if abi >= _SCOPE_VERSION else 0
    _enforce(_handled_files(abi), net, scopes, {_READ: read_only, _READ | _WRITE: read_write})
    parts = [
        "files",
        "TCP" if net else "",
        "abstract sockets" if scopes else "",
        "signals" if scopes & _SIGNALS else "",
    ]
    return f"{description}: {', '.join(filter(None, parts))}"


def _handled_files(abi: int) -> int:
    return max(limit for since, limit in _FILE_RIGHTS.items() if since <= abi) - 1


def _enforce(handled: int, net: int, scopes: int, rules: dict[int, Iterable[str]]) -> None:
    attributes = struct.pack("=QQQ", handled, net, scopes)  # older kernels accept a longer struct if the rest is zero
    ruleset = syscall("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for rights, paths in rules.items():
            for path in paths:
                _allow(ruleset, path, rights & handled)
        syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, directory: str, rights: int) -> None:
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syscall("landlock_add_rule", ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)
