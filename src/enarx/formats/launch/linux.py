"""The setup header of a Linux kernel for x86 (Linux, Documentation/arch/x86/boot.rst)."""

from __future__ import annotations

from typing import Self

from enarx.formats.reader import Reader
from enarx.record import record

WHAT = "Linux kernel"
MAGIC = b"HdrS"
MIN_SIZE = 0x1000
LOADED_HIGH, CAN_USE_HEAP = 0x01, 0x80
ABOVE_4G = 0x02


@record()
class SetupHeader:
    """The fields for boot loaders: `protocol` is major << 8 | minor, `initrd_max` the highest address of an initrd."""

    protocol: int
    load_flags: int
    initrd_max: int
    xload_flags: int

    @classmethod
    def from_bytes(cls, kernel: bytes) -> Self:
        """The header of a bzImage with boot protocol 2.02 or newer; ParseError."""
        read = Reader(kernel, WHAT, code="linux")
        if len(kernel) < MIN_SIZE:
            raise read.error("size", f"{len(kernel)} bytes, wanted at least {MIN_SIZE}")
        read.seek(0x202)
        magic, protocol = read.take(4), read.number(2)
        if magic != MAGIC or protocol < 0x202:
            raise read.error("magic", "not a bzImage of boot protocol 2.02 or newer")
        read.seek(0x211)
        load_flags = read.number(1)
        read.seek(0x22C)
        initrd_max = read.number(4)
        read.seek(0x236)
        return cls(protocol=protocol, load_flags=load_flags, initrd_max=initrd_max, xload_flags=read.number(2))
