"""Launch measurement of SEV and SEV-ES: SHA-256 over the firmware, the table of kernel hashes, and each processor's VMSA
(AMD 55766, SEV API, LAUNCH_UPDATE_DATA and LAUNCH_UPDATE_VMSA).
"""

from __future__ import annotations

import hashlib

from enarx.errors import UsageError
from enarx.formats.launch.firmware import Firmware
from enarx.image.launch import vmsa
from enarx.image.launch.hashes import KernelHashes

MAX_VCPUS = 4096


def measure_sev(firmware: Firmware, hashes: KernelHashes | None) -> bytes:
    """The launch digest of SEV: 32 bytes. UsageError if the firmware takes no hashes, and there are some."""
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
    """The launch digest of SEV-ES: 32 bytes. UsageError for what cannot be launched."""
    require_processors(vcpus, firmware.reset)
    sha = _loaded(firmware, hashes)
    kind = vmsa.VMMS[vmm]
    for entry in (vmsa.FIRST_ENTRY, *[firmware.reset] * (vcpus - 1)):
        sha.update(vmsa.page(entry, signature=signature, features=0, vmm=kind, era=kind.eras[era]))
    return sha.digest()


def require_processors(vcpus: int, reset: int) -> None:
    """UsageError if so many processors cannot be started by a firmware with this reset address."""
    if not 1 <= vcpus <= MAX_VCPUS:
        raise UsageError("vcpus", f"{vcpus} processors, wanted 1 to {MAX_VCPUS}")
    if vcpus > 1 and not reset:
        raise UsageError("vcpus", "the firmware does not say where processors but the first start: it is for 1")


def _loaded(firmware: Firmware, hashes: KernelHashes | None) -> hashlib._Hash:
    sha = hashlib.sha256(firmware.raw)
    if hashes is not None:
        if not firmware.hashes:
            raise unmeasured_kernel()
        sha.update(hashes.table())
    return sha


def unmeasured_kernel() -> UsageError:
    """The error for a kernel under a firmware that does not have it measured."""
    return UsageError(
        "kernel-unmeasured",
        "the firmware takes no kernel hashes: a kernel, initrd and command line would not be measured",
        hint="a firmware built for it (OvmfPkg/AmdSev; Debian: ovmf-amdsev), or no --kernel",
    )
