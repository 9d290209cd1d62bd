"""A Linux kernel as QEMU hands it to the firmware: plain, or with the setup header that QEMU up to 10.1 fills in before
(hw/i386/x86-common.c, x86_load_linux), on the machine q35.
"""

from __future__ import annotations

from enarx.errors import UsageError
from enarx.formats.launch.linux import ABOVE_4G, CAN_USE_HEAP, LOADED_HIGH, SetupHeader

QEMU = 0xB0
"""Type of boot loader."""

LOW_MEMORY, SPLIT_MEMORY = 0xB0000000, 0x80000000
"""With less memory than the first all of it lies below 4 GiB; with as much or more, this much does."""

TABLES = 0x28000
"""Bytes that QEMU keeps free for ACPI tables at the end of low memory."""

OLD_INITRD_MAX = 0x37FFFFFF
PAGE = 4096


def patched(kernel: bytes, *, memory: int, initrd_size: int) -> bytes:
    """The kernel with its header filled in for a machine with `memory` bytes. ParseError for no bzImage, UsageError for
    an initrd that does not fit.
    """
    header = SetupHeader.from_bytes(kernel)
    real, cmdline = (0x10000, 0x20000) if header.load_flags & LOADED_HIGH else (0x90000, 0x9A000)
    made = bytearray(kernel)
    made[0x210] = QEMU
    made[0x211] |= CAN_USE_HEAP
    made[0x224:0x228] = _u32(cmdline - real - 0x200)
    made[0x228:0x22C] = _u32(cmdline)
    if initrd_size:
        made[0x218:0x21C] = _u32(initrd_address(header, memory=memory, initrd_size=initrd_size))
        made[0x21C:0x220] = _u32(initrd_size)
    return bytes(made)


def initrd_address(header: SetupHeader, *, memory: int, initrd_size: int) -> int:
    """Where QEMU would put the initrd. UsageError if it does not fit."""
    limit = OLD_INITRD_MAX if header.protocol < 0x203 else header.initrd_max
    if header.protocol >= 0x20C and header.xload_flags & ABOVE_4G:
        limit = 0xFFFFFFFF
    limit = min(limit, below_4g(memory) - TABLES - 1)
    if initrd_size >= limit:
        raise UsageError("memory", f"an initrd of {initrd_size} bytes does not fit into {memory} bytes of memory")
    return (limit - initrd_size) // PAGE * PAGE


def below_4g(memory: int) -> int:
    """Bytes of memory below 4 GiB on q35: from 2.75 GiB on it is 2 GiB whatever the size."""
    return min(memory, LOW_MEMORY) if memory < LOW_MEMORY else SPLIT_MEMORY


def load_options(cmdline: bytes, *, initrd: bool) -> bytes:
    """The command line as OVMF passes it to the kernel, and the kernel measures it: UTF-16 of each byte, with a NUL."""
    text = cmdline + b" initrd=initrd" if initrd else cmdline
    return b"".join(bytes((byte, 0)) for byte in text + b"\0")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")
