"""Launch measurement of SEV and SEV-ES (AMD 55766, SEV API, LAUNCH_UPDATE_DATA and LAUNCH_UPDATE_VMSA).

It is one SHA-256 over the firmware, the table of kernel hashes and, for SEV-ES, each processor's VMSA.
"""

from __future__ import annotations

import hashlib

from enarx.errors import UsageError
from enarx.formats.launch.firmware import Firmware
from enarx.image.launch import vmsa
from enarx.image.launch.hashes import KernelHashes

MAX_VCPUS = 4096


def measure_sev(firmware: Firmware, hashes: KernelHashes | None) -> bytes:
    """The launch digest of SEV, 32 bytes; UsageError if the firmware has no room for the hashes."""
    return _loaded(firmware, hashes).digest()


def measure_sev_es(
    firmware: Firmware,
    hashes: KernelHashes | None,
    *,
    vcpus: int,
    signature: int,
    vmm: str = "qemu",
    era: str = vmsa.CURRENT,
) -> bytes:
    """The launch digest of SEV-ES, 32 bytes; UsageError if this cannot be launched."""
    require_processors(vcpus, firmware.reset)
    sha = _loaded(firmware, hashes)
    kind = vmsa.VMMS[vmm]
    for entry in (vmsa.FIRST_ENTRY, *[firmware.reset] * (vcpus - 1)):
        sha.update(vmsa.page(entry, signature=signature, features=0, vmm=kind, era=kind.eras[era]))
    return sha.digest()


def require_processors(vcpus: int, reset: int) -> None:
    """Require a number of processors that a firmware with this reset address can start; UsageError."""
    if not 1 <= vcpus <= MAX_VCPUS:
        raise UsageError("vcpus", f"{vcpus} processors, wanted 1 to {MAX_VCPUS}")
    if vcpus > 1 and not reset:
        raise UsageError("vcpus", "the firmware has no start address for further processors: wanted 1")


def _loaded(firmware: Firmware, hashes: KernelHashes | None) -> hashlib._Hash:
    sha = hashlib.sha256(firmware.raw)
    if hashes is not None:
        if not firmware.hashes:
            raise unmeasured_kernel()
        sha.update(hashes.table())
    return sha


def unmeasured_kernel() -> UsageError:
    """The error for a firmware that would start a kernel unmeasured."""
    return UsageError(
        "kernel-unmeasured",
        "the firmware has no room for kernel hashes: kernel, initrd and command line would be unmeasured",
        hint="use a firmware built for it (OvmfPkg/AmdSev; Debian: ovmf-amdsev), or no --kernel",
    )
