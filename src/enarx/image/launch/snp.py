"""Launch measurement of SEV-SNP (AMD 56860, SEV-SNP Firmware ABI, SNP_LAUNCH_UPDATE: "PAGE_INFO Structure").

Each page is hashed with its type, address and content behind the digest so far: the firmware's own pages, then the sections of
its metadata in their order, then each processor's VMSA.
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
"""Types of pages."""

VMSA_ADDRESS = 0xFFFFFFFFF000
SIZE = 48
FEATURES = 0x1
"""SEV features of a guest with nothing but SNP."""

_INFO = struct.Struct("<48s48sHBBIQ")


@record()
class Processors:
    """How processors start: their number, CPUID signature, SEV features, hypervisor and its era (`vmsa.VMMS`)."""

    count: int
    signature: int
    features: int = FEATURES
    vmm: str = "qemu"
    era: str = vmsa.CURRENT


def firmware_digest(firmware: Firmware) -> bytes:
    """The digest after the firmware's own pages: what some publish of a firmware instead of its bytes."""
    return _pages(bytes(SIZE), firmware.address, firmware.raw)


def measure(
    metadata: SevMetadata, firmware_digest: bytes, hashes: KernelHashes | None, processors: Processors
) -> bytes:
    """The launch digest: 48 bytes. UsageError for what cannot be launched, or would start a kernel unmeasured."""
    require_processors(processors.count, metadata.reset)
    before = memory(metadata, firmware_digest, hashes, vmm=processors.vmm)
    *_, last = starts(before, metadata.reset, processors)
    return last


def memory(metadata: SevMetadata, firmware_digest: bytes, hashes: KernelHashes | None, *, vmm: str = "qemu") -> bytes:
    """The digest after all memory, before the first processor."""
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
    """The digests after the first, the second and each further processor, up to their number."""
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
    """The launch digest with an SVSM under QEMU: it lies below the firmware and its variables (of so many bytes)."""
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
    """The kernel hashes have a section of their own, and it is where the firmware looks."""
    places = [section.address for section in metadata.sections if section.type == KERNEL_HASHES]
    if not metadata.hashes or places != [metadata.hashes // PAGE * PAGE]:
        raise unmeasured_kernel()


def _pages(value: bytes, address: int, content: bytes) -> bytes:
    for at in range(0, len(content), PAGE):
        value = _update(value, NORMAL, address + at, hashlib.sha384(content[at : at + PAGE]).digest())
    return value


def _update(value: bytes, type: int, address: int, content: bytes) -> bytes:
    return hashlib.sha384(_INFO.pack(value, content, _INFO.size, type, 0, 0, address)).digest()
