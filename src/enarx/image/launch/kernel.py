"""A Linux kernel as QEMU passes it to the firmware on the machine q35.

QEMU up to 10.1 fills in the setup header first (hw/i386/x86-common.c, x86_load_linux); newer versions pass the file.
"""

from __future__ import annotations

from enarx.errors import UsageError
from enarx.formats.launch.linux import ABOVE_4G, CAN_USE_HEAP, LOADED_HIGH, SetupHeader

QEMU = 0xB0
"""QEMU's number as a boot loader."""

LOW_MEMORY, SPLIT_MEMORY = 0xB0000000, 0x80000000
"""A machine with less memory than the first has all of it below 4 GiB; any other has the second there."""

TABLES = 0x28000
"""Bytes at the end of low memory that QEMU reserves for ACPI tables."""

OLD_INITRD_MAX = 0x37FFFFFF
PAGE = 4096


def patched(kernel: bytes, *, memory: int, initrd_size: int) -> bytes:
    """The kernel with its header filled in for a machine with `memory` bytes.

    ParseError if it is not a bzImage, UsageError if the initrd does not fit.
    """
    header = SetupHeader.from_bytes(kernel)
    real, cmdline = (0x10000, 0x20000) if header.load_flags & LOADED_HIGH else (0x90000, 0x9A000)
    patch = bytearray(kernel)
    patch[0x210] = QEMU
    patch[0x211] |= CAN_USE_HEAP
    patch[0x224:0x228] = _u32(cmdline - real - 0x200)
    patch[0x228:0x22C] = _u32(cmdline)
    if initrd_size:
        patch[0x218:0x21C] = _u32(initrd_address(header, memory=memory, initrd_size=initrd_size))
        patch[0x21C:0x220] = _u32(initrd_size)
    return bytes(patch)


def initrd_address(header: SetupHeader, *, memory: int, initrd_size: int) -> int:
    """The address at which QEMU loads the initrd; UsageError if it does not fit."""
    limit = OLD_INITRD_MAX if header.protocol < 0x203 else header.initrd_max
    if header.protocol >= 0x20C and header.xload_flags & ABOVE_4G:
        limit = 0xFFFFFFFF
    limit = min(limit, below_4g(memory) - TABLES - 1)
    if initrd_size >= limit:
        raise UsageError("memory", f"an initrd of {initrd_size} bytes does not fit into {memory} bytes of memory")
    return (limit - initrd_size) // PAGE * PAGE


def below_4g(memory: int) -> int:
    """Bytes of memory below 4 GiB on q35: 2 GiB for machines with 2.75 GiB or more."""
    return min(memory, LOW_MEMORY) if memory < LOW_MEMORY else SPLIT_MEMORY


def load_options(cmdline: bytes, *, initrd: bool) -> bytes:
    """The command line as OVMF passes it and the kernel measures it: UTF-16, one unit per byte, with a NUL."""
    text = cmdline + b" initrd=initrd" if initrd else cmdline
    return b"".join(bytes((byte, 0)) for byte in text + b"\0")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")
