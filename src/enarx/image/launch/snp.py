"""Launch measurement of SEV-SNP (AMD 56860, SEV-SNP Firmware ABI, SNP_LAUNCH_UPDATE: "PAGE_INFO Structure").

The digest is extended with type, address and content of each page: the firmware's own pages, then the sections of its
metadata in order, then each processor's VMSA.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from enarx.errors import UsageError
from enarx.formats.launch.firmware import (
    CPUID,
    KERNEL_HASHES,
    PAGE,
    SEC_MEMORY,
    SECRETS,
    Firmware,
    SevMetadata,
    SevSection,
)
from enarx.image.launch import vmsa
from enarx.image.launch.hashes import KernelHashes
from enarx.image.launch.sev import require_processors, unmeasured_kernel
from enarx.record import record

NORMAL, VMSA, ZERO, UNMEASURED, SECRET, CPUID_PAGE = 1, 2, 3, 4, 5, 6
"""Page types of PAGE_INFO, as the firmware numbers them."""

VMSA_ADDRESS = 0xFFFFFFFFF000
SIZE = 48
FEATURES = 0x1
"""SEV features of a guest that uses SNP only."""

_INFO = struct.Struct("<48s48sHBBIQ")


@record()
class Processors:
    """The processors of a launch: number, CPUID signature, SEV features, hypervisor and its era (`vmsa.VMMS`)."""

    count: int
    signature: int
    features: int = FEATURES
    vmm: str = "qemu"
    era: str = vmsa.CURRENT


def firmware_digest(firmware: Firmware) -> bytes:
    """The digest after the firmware's own pages, which some vendors publish instead of the file."""
    return _pages(bytes(SIZE), firmware.address, firmware.raw)


def measure(
    metadata: SevMetadata, firmware_digest: bytes, hashes: KernelHashes | None, processors: Processors
) -> bytes:
    """The launch digest, 48 bytes; UsageError if this cannot be launched, or would start a kernel unmeasured."""
    require_processors(processors.count, metadata.reset)
    before = memory(metadata, firmware_digest, hashes, vmm=processors.vmm)
    *_, last = starts(before, metadata.reset, processors)
    return last


def memory(metadata: SevMetadata, firmware_digest: bytes, hashes: KernelHashes | None, *, vmm: str = "qemu") -> bytes:
    """The digest after all memory pages, before the first processor; UsageError."""
    if hashes is not None:
        _require_place(metadata)
    kind = vmsa.VMMS[vmm]
    value = firmware_digest
    for section in metadata.sections:
        if section.type != CPUID or not kind.cpuid_last:
            value = _section(value, section, metadata, hashes, kind)
    for section in metadata.sections:
        if section.type == CPUID and kind.cpuid_last:
            value = _section(value, section, metadata, hashes, kind)
    return value


def starts(before: bytes, reset: int, processors: Processors) -> Iterator[bytes]:
    """The digest after each processor in turn; the last one is the launch digest."""
    kind = vmsa.VMMS[processors.vmm]
    era = kind.eras[processors.era]
    first, other = (
        hashlib.sha384(
            vmsa.page(entry, signature=processors.signature, features=processors.features, vmm=kind, era=era)
        ).digest()
        for entry in (vmsa.FIRST_ENTRY, reset)
    )
    for i in range(processors.count):
        before = _update(before, VMSA, VMSA_ADDRESS, other if i else first)
        yield before


def measure_svsm(firmware: Firmware, svsm: Firmware, *, variables: int, vcpus: int, signature: int) -> bytes:
    """The launch digest with an SVSM under QEMU, 48 bytes; UsageError.

    The SVSM lies below the firmware and its `variables`, a size in bytes.
    """
    require_processors(vcpus, 1)
    address = firmware.address - variables - len(svsm.raw)
    if variables < 0 or variables % PAGE or address < 0:
        raise UsageError("svsm", f"variables of {variables} bytes: no whole pages, or no room for an SVSM")
    value = _pages(firmware_digest(firmware), address, svsm.raw)
    metadata = svsm.sev()
    value = memory(metadata, value, None)
    page = vmsa.svsm_page(address + svsm.svsm_entry(), signature=signature, features=FEATURES)
    content = hashlib.sha384(page).digest()
    for _ in range(vcpus):
        value = _update(value, VMSA, VMSA_ADDRESS, content)
    return value


def _section(
    value: bytes, section: SevSection, metadata: SevMetadata, hashes: KernelHashes | None, kind: vmsa.Vmm
) -> bytes:
    if section.type == KERNEL_HASHES and hashes is not None:
        return _pages(value, section.address, hashes.page(metadata.hashes % PAGE))
    single = {SECRETS: SECRET, CPUID: CPUID_PAGE}
    type = single.get(section.type, ZERO)
    if section.type == SEC_MEMORY and kind.unmeasured_memory:
        type = UNMEASURED
    for address in range(section.address, section.address + section.size, PAGE):
        value = _update(value, type, address, bytes(SIZE))
    return value


def _require_place(metadata: SevMetadata) -> None:
    """Require a section for kernel hashes at the address where the firmware reads them."""
    places = [section.address for section in metadata.sections if section.type == KERNEL_HASHES]
    if not metadata.hashes or places != [metadata.hashes // PAGE * PAGE]:
        raise unmeasured_kernel()


def _pages(value: bytes, address: int, content: bytes) -> bytes:
    for at in range(0, len(content), PAGE):
        value = _update(value, NORMAL, address + at, hashlib.sha384(content[at : at + PAGE]).digest())
    return value


def _update(value: bytes, type: int, address: int, content: bytes) -> bytes:
    return hashlib.sha384(_INFO.pack(value, content, _INFO.size, type, 0, 0, address)).digest()
