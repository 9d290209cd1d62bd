"""The table of kernel hashes that the hypervisor puts into memory for the firmware to check (QEMU, target/i386/sev.c)."""

from __future__ import annotations

import hashlib
from uuid import UUID

from enarx.errors import UsageError
from enarx.record import record

PAGE = 4096
TABLE = UUID("9438d606-4f22-4cc9-b479-a793d411fd21")
CMDLINE = UUID("97d02dd8-bd20-4c94-aa78-e7714d36ab2a")
INITRD = UUID("44baf731-3a2f-4bd7-9af1-41e29169781d")
KERNEL = UUID("4de79437-abd2-427f-b835-d5b172d2045b")
ALIGNMENT = 16


@record()
class KernelHashes:
    """SHA-256 of the kernel's whole file, of the initrd (of nothing, without one), of the command line with a NUL behind it."""

    kernel: bytes
    initrd: bytes
    cmdline: bytes

    def table(self) -> bytes:
        """The table, padded as it is measured."""
        pairs = ((CMDLINE, self.cmdline), (INITRD, self.initrd), (KERNEL, self.kernel))
        made = _entry(TABLE, b"".join(_entry(guid, digest) for guid, digest in pairs))
        return made + bytes(-len(made) % ALIGNMENT)

    def page(self, offset: int) -> bytes:
        """A page of zeros with the table at this offset. UsageError if it does not fit."""
        table = self.table()
        if offset + len(table) > PAGE:
            raise UsageError("hashes-table", f"kernel hashes at offset {offset:#x} of a page: they do not fit")
        return (bytes(offset) + table).ljust(PAGE, b"\0")


def kernel_hashes(kernel: bytes, initrd: bytes, cmdline: bytes) -> KernelHashes:
    """The hashes of these; an initrd that is not there is empty."""
    return KernelHashes(
        kernel=hashlib.sha256(kernel).digest(),
        initrd=hashlib.sha256(initrd).digest(),
        cmdline=cmdline_hash(cmdline),
    )


def cmdline_hash(cmdline: bytes) -> bytes:
    """SHA-256 of a command line's exact bytes with a NUL behind them."""
    return hashlib.sha256(cmdline + b"\0").digest()


def _entry(guid: UUID, data: bytes) -> bytes:
    return guid.bytes_le + (18 + len(data)).to_bytes(2, "little") + data
