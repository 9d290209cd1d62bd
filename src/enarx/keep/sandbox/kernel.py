"""Linux calls that Python 3.11 lacks, made through ctypes. A failed call raises an OSError that names it.

The numbers come from the kernel's user-space headers, and are stable.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from enarx.keep.sandbox.syscalls import NUMBERS

CLONE_THREAD = 0x10000
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NAME = 15
PR_GET_NAME = 16
PR_GET_SECCOMP = 21
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
PR_SET_MDWE = 65
PR_MDWE_REFUSE_EXEC_GAIN = 1
PR_GET_MDWE = 66
PR_SET_VMA = 0x53564D41

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_TSYNC = 1

WORD = 0xFFFFFFFF
_CAPABILITY_HEADER = struct.pack("=Ii", 0x20080522, 0)
"""struct __user_cap_header_struct: version 3, this thread."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Program(ctypes.Structure):
    """The struct sock_fprog of <linux/filter.h>: a filter's length and its instructions."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _checked(result: int, call: str) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), call)
    return result


def syscall(name: str, *arguments: object) -> int:
    """Make the system call `name`. Integers are passed as unsigned longs, other arguments as ctypes converts them."""
    if name not in NUMBERS:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name)
    words = [ctypes.c_ulong(x) if isinstance(x, int) else x for x in arguments]
    return _checked(_libc.syscall(ctypes.c_long(NUMBERS[name]), *words), name)


def prctl(option: int, *arguments: int) -> int:
    """Call prctl(2); arguments that are left out are zero."""
    words = [ctypes.c_ulong(x) for x in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(option, *words), "prctl")


def unshare(flags: int) -> None:
    """Call unshare(2) with CLONE_ flags."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Call mount(2) with MS_ flags and file system options."""
    texts = [x.encode() if x else None for x in (source, target, kind, options)]
    result = _libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])
    _checked(result, f"mount {target}")


def pivot_to_cwd() -> None:
    """Make the current directory, which must be a mount point, the root; detach the former root.

    pivot_root(2) documents this use: the former root is mounted over the new one, and then detached.
    """
    syscall("pivot_root", b".", b".")
    _checked(_libc.umount2(b".", MNT_DETACH), "umount2")


def set_hostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    _checked(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")


def set_capabilities(mask: int) -> None:
    """Set the permitted and effective capabilities to `mask`, and clear the inheritable ones."""
    low, high = mask & WORD, mask >> 32
    syscall("capset", _CAPABILITY_HEADER, struct.pack("=6I", low, low, 0, high, high, 0))


def permitted_capabilities() -> int:
    """Return the permitted capabilities of this thread as a mask."""
    sets = ctypes.create_string_buffer(24)
    syscall("capget", _CAPABILITY_HEADER, sets)
    words = struct.unpack("=6I", sets.raw)
    return int(words[1] | words[4] << 32)


def set_filter(program: bytes) -> None:
    """Install the seccomp filter `program`, an array of struct sock_filter, on every thread of this process."""
    record = _Program(len(program) // 8, program)
    if syscall("seccomp", SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(record)):
        raise OSError(errno.EBUSY, "a thread has a filter of its own", "seccomp")
