"""The initial state of a processor under SEV-ES and SNP, a measured page (VMSA; AMD APM, volume 2, table B-4).

Hypervisors set some registers differently, and a hypervisor may have changed them over time: `Vmm` and `Era`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from enarx.record import record

_Segment = tuple[int, int, int, int]
"""A segment register as selector, attributes, limit and base."""

SIZE = 4096
FIRST_ENTRY = 0xFFFFFFF0
"""The address at which the first processor starts."""

MXCSR, FCW = 0x1F80, 0x37F
PAT = 0x7040600070406


@record()
class Era:
    """The values of a period: rdx (None stands for the CPUID signature), and whether the FPU control words are set."""

    rdx: int | None
    fpu: bool


@record()
class Vmm:
    """A hypervisor: segment attributes, the PAT, and its eras. `first_cs` is for the first processor, `cs` for others.

    With `unmeasured_memory`, memory sections are measured without content. With `cpuid_last`, the CPUID page is last.
    """

    first_cs: int
    cs: int
    ss: int
    tr: int
    pat: int
    eras: Mapping[str, Era]
    unmeasured_memory: bool = False
    cpuid_last: bool = False


CURRENT = "current"
VMMS = {
    "qemu": Vmm(
        first_cs=0x9B,
        cs=0x9B,
        ss=0x93,
        tr=0x8B,
        pat=PAT,
        eras={CURRENT: Era(rdx=None, fpu=True), "before-6.10": Era(rdx=None, fpu=False)},
    ),
    "ec2": Vmm(
        first_cs=0x9A,
        cs=0x9B,
        ss=0x92,
        tr=0x83,
        pat=PAT,
        eras={CURRENT: Era(rdx=0x600, fpu=False), "rdx-0": Era(rdx=0, fpu=False)},
        cpuid_last=True,
    ),
    "gce": Vmm(
        first_cs=0x9B,
        cs=0x9B,
        ss=0x93,
        tr=0x8B,
        pat=0x70106,
        eras={CURRENT: Era(rdx=0x600, fpu=False)},
        unmeasured_memory=True,
    ),
}
"""Hypervisors and their eras, the newest first. `before-6.10` names the version of the host's kernel."""


def page(entry: int, *, signature: int, features: int, vmm: Vmm, era: Era) -> bytes:
    """The VMSA of a processor that starts at `entry`, 4096 bytes; `features` are the guest's SEV features."""
    cs = vmm.first_cs if entry == FIRST_ENTRY else vmm.cs
    segments: dict[str, _Segment] = dict.fromkeys(("es", "ds", "fs", "gs"), (0, 0x93, 0xFFFF, 0))
    segments |= {"cs": (0xF000, cs, 0xFFFF, entry & 0xFFFF0000), "ss": (0, vmm.ss, 0xFFFF, 0)}
    rdx = signature if era.rdx is None else era.rdx
    values = {"rip": entry & 0xFFFF, "cr0": 0x10, "pat": vmm.pat, "rdx": rdx, "features": features}
    return _page(segments, vmm.tr, values, (MXCSR, FCW) if era.fpu else (0, 0))


def svsm_page(entry: int, *, signature: int, features: int) -> bytes:
    """The VMSA of a processor that starts in an SVSM at `entry`, in flat protected mode under QEMU, 4096 bytes.

    The FPU control word is zero, as in the only published values, those of sev-snp-measure.
    """
    segments: dict[str, _Segment] = dict.fromkeys(("es", "ss", "ds", "fs"), (0x10, 0xC93, 0xFFFFFFFF, 0))
    segments |= {"cs": (8, 0xC9B, 0xFFFFFFFF, 0), "gs": (0, 0x93, 0xFFFF, 0)}
    values = {"rip": entry, "cr0": 0x11, "pat": PAT, "rdx": signature, "features": features}
    return _page(segments, 0x8B, values, (MXCSR, 0))


_SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr")
_OFFSETS = {
    "efer": 0xD0,
    "cr4": 0x148,
    "cr0": 0x158,
    "dr7": 0x160,
    "dr6": 0x168,
    "rflags": 0x170,
    "rip": 0x178,
    "pat": 0x268,
    "rdx": 0x310,
    "features": 0x3B0,
    "xcr0": 0x3E8,
}
_FIXED = {"efer": 0x1000, "cr4": 0x40, "dr7": 0x400, "dr6": 0xFFFF0FF0, "rflags": 2, "xcr0": 1}
_MXCSR_AT, _FCW_AT = 0x408, 0x410


def _page(segments: dict[str, _Segment], tr: int, values: dict[str, int], fpu: tuple[int, int]) -> bytes:
    state = bytearray(SIZE)
    segments = segments | {"gdtr": (0, 0, 0xFFFF, 0), "idtr": (0, 0, 0xFFFF, 0)}
    segments |= {"ldtr": (0, 0x82, 0xFFFF, 0), "tr": (0, tr, 0xFFFF, 0)}
    for i, name in enumerate(_SEGMENTS):
        struct.pack_into("<HHIQ", state, 16 * i, *segments[name])
    for name, value in (_FIXED | values).items():
        struct.pack_into("<Q", state, _OFFSETS[name], value)
    mxcsr, fcw = fpu
    struct.pack_into("<I", state, _MXCSR_AT, mxcsr)
    struct.pack_into("<H", state, _FCW_AT, fcw)
    return bytes(state)
