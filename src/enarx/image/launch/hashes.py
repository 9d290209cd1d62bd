"""The table of kernel hashes, which the hypervisor places in memory and the firmware checks (QEMU, target/i386/sev.c)."""

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
    """SHA-256 of the whole kernel file, of the initrd (empty if missing), and of the command line with a trailing NUL."""

    kernel: bytes
    initrd: bytes
    cmdline: bytes

    def table(self) -> bytes:
        """The table with its padding, as it is measured."""
        pairs = ((CMDLINE, self.cmdline), (INITRD, self.initrd), (KERNEL, self.kernel))
        table = _entry(TABLE, b"".join(_entry(guid, digest) for guid, digest in pairs))
        return table + bytes(-len(table) % ALIGNMENT)

    def page(self, offset: int) -> bytes:
        """A page of zeros with the table at `offset`; UsageError if it does not fit."""
        table = self.table()
        if offset + len(table) > PAGE:
            raise UsageError("hashes-table", f"kernel hashes at offset {offset:#x} do not fit into their page")
        return (bytes(offset) + table).ljust(PAGE, b"\0")


def kernel_hashes(kernel: bytes, initrd: bytes, cmdline: bytes) -> KernelHashes:
    """The hashes of a kernel, an initrd (empty if missing) and a command line."""
    return KernelHashes(
        kernel=hashlib.sha256(kernel).digest(),
        initrd=hashlib.sha256(initrd).digest(),
        cmdline=cmdline_hash(cmdline),
    )


def cmdline_hash(cmdline: bytes) -> bytes:
    """SHA-256 of the exact bytes of a command line and a trailing NUL."""
    return hashlib.sha256(cmdline + b"\0").digest()


def _entry(guid: UUID, data: bytes) -> bytes:
    return guid.bytes_le + (18 + len(data)).to_bytes(2, "little") + data
