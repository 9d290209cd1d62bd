"""Assembles seccomp filters from tables, as classic BPF over struct seccomp_data of <linux/seccomp.h>.

A filter sees only the low 32 bits of an argument. That is enough for every argument that the profiles check: the kernel
takes it as an int, or defines no flag above bit 31.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from enarx.record import record

ALLOW = 0x7FFF0000
KILL = 0x80000000
"""Kills the whole process with SIGSYS."""

WORD = 0xFFFFFFFF
X32_BIT = 0x40000000
"""Set in the numbers of the x32 ABI's calls, which a list of x86_64 numbers would not match."""

_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16


def fail(code: int) -> int:
    """Return the verdict that skips a call and returns error `code`, or success if `code` is 0."""
    return 0x00050000 | code


@record(kw_only=False)
class Check:
    """Allows a call if (argument & mask) is in `values` and all of `also` hold; otherwise gives the verdict `otherwise`."""

    argument: int
    mask: int
    values: tuple[int, ...]
    otherwise: int
    also: tuple[Check, ...] = ()


def _op(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, k)


def _when(number: int, then: bytes) -> bytes:
    """Run `then`, which must return, if the loaded call number is `number`; otherwise skip it."""
    return _op(_EQUAL, number, 0, len(then) // 8) + then


def _tested(check: Check) -> bytes:
    """Return the verdict of a check that fails; fall through if it holds."""
    load = _op(_LOAD, _ARGUMENTS + 8 * check.argument) + _op(_AND, check.mask)
    left = len(check.values)
    tests = b"".join(_op(_EQUAL, value, left - i, 0) for i, value in enumerate(check.values))
    return load + tests + _op(_RETURN, check.otherwise)


def _checked(check: Check) -> bytes:
    return b"".join(map(_tested, (check, *check.also))) + _op(_RETURN, ALLOW)


def assemble(
    arch: int, *, checks: Mapping[int, Check], allowed: Iterable[int], killed: Iterable[int], default: int
) -> bytes:
    """Return the filter, 8 bytes for each instruction. Calls of another architecture kill; unlisted calls get `default`.

    Checked calls come first. The kernel (5.11 and later) caches verdicts that depend on the call number alone, so only
    checked calls run the filter each time.
    """
    parts = [_op(_LOAD, _ARCH), _op(_EQUAL, arch, 1, 0), _op(_RETURN, KILL)]
    parts += [_op(_LOAD, _NUMBER), _op(_AT_LEAST, X32_BIT, 0, 1), _op(_RETURN, KILL)]
    parts += [_when(number, _checked(check)) for number, check in sorted(checks.items())]
    parts += [_when(number, _op(_RETURN, ALLOW)) for number in sorted(allowed)]
    parts += [_when(number, _op(_RETURN, KILL)) for number in sorted(killed)]
    return b"".join([*parts, _op(_RETURN, default)])
