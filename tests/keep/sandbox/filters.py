"""What the kernel would say of a system call: an interpreter of the classic BPF that seccomp filters are written in."""

from __future__ import annotations

import struct

LOAD, AND, RETURN = 0x20, 0x54, 0x06
EQUAL, AT_LEAST = 0x15, 0x35
WORD = 0xFFFFFFFF


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """The value that the filter returns for a call."""
    six = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number & WORD, arch, 0, *(x & (1 << 64) - 1 for x in six))
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        code, yes, no, k = instructions[at]
        at += 1
        if code == LOAD:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif code == AND:
            accumulator &= k
        elif code == RETURN:
            return int(k)
        else:
            taken = accumulator == k if code == EQUAL else accumulator >= k
            assert code in (EQUAL, AT_LEAST)
            at += yes if taken else no
