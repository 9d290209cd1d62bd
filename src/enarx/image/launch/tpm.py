"""PCRs of a TPM after OVMF has started a kernel directly, or a unified kernel image (UKI) from a disk.

UKI: UAPI.5 Unified Kernel Image (the order of sections), systemd docs/TPM2_PCR_MEASUREMENTS.md (what is measured of each).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from enarx.errors import UsageError
from enarx.formats.launch.pe import PeFile
from enarx.image.launch.authenticode import authenticode
from enarx.image.launch.registers import Event, digest
from enarx.image.launch.tdx import CALLING, SEPARATOR, rtmr2

BANKS = ("sha256", "sha384", "sha512", "sha1")
SECTIONS = (
    ".linux",
    ".osrel",
    ".cmdline",
    ".initrd",
    ".ucode",
    ".splash",
    ".dtb",
    ".uname",
    ".sbat",
    ".pcrpkey",
    ".profile",
    ".dtbauto",
    ".hwids",
    ".efifw",
)
"""What systemd-stub measures of a UKI, in this order; .pcrsig, which signs the outcome, is not."""

PHASES = ("enter-initrd", "leave-initrd", "sysinit", "ready")
"""What systemd extends PCR 11 by while the system comes up, in this order."""

Registers = Mapping[int, tuple[Event, ...]]


def direct(kernel: bytes, cmdline: bytes, initrd: bytes | None, *, bank: str) -> Registers:
    """PCRs 4, 8, 9, 11 and 12 after OVMF has started a kernel with this Authenticode digest."""
    return {
        4: (Event("kernel", kernel), *_calling(bank)),
        8: (),
        9: rtmr2(cmdline, initrd, bank=bank),
        11: (),
        12: (),
    }


def uki(
    image: PeFile, *, bank: str, passed: Iterable[bytes] = (), phases: Iterable[str] = (), inner: bool = True
) -> Registers:
    """PCRs 4, 8, 11 and 12 of a UKI that firmware starts from a disk.

    `passed` are command lines from outside of the image that the stub takes; `inner` whether the stub has the firmware load
    (and so measure) the kernel within. ParseError if the image is none. PCR 9 also holds archives that the stub makes up.
    """
    linux = image.section(".linux")
    if linux is None:
        raise UsageError("uki", "no section .linux: this is no unified kernel image")
    started = [Event("UKI", authenticode(image, bank))]
    if inner:
        started.append(Event("kernel within", authenticode(PeFile.from_bytes(linux), bank)))
    sections = ((name, image.section(name)) for name in SECTIONS)
    measured = [event for name, content in sections if content is not None for event in _section(name, content, bank)]
    return {
        4: (*_calling(bank), *started),
        8: (),
        11: (*measured, *(Event(f"phase {phase}", digest(phase.encode(), bank)) for phase in phases)),
        12: tuple(passed_cmdline(line, bank) for line in passed),
    }


def passed_cmdline(line: bytes, bank: str) -> Event:
    """What a command line from outside of the image adds to PCR 12: UTF-16 without a NUL."""
    return Event("command line from outside", digest(line.decode(errors="replace").encode("utf-16-le"), bank))


def _calling(bank: str) -> tuple[Event, Event]:
    return Event("action: calling a boot option", digest(CALLING, bank)), Event("separator", digest(SEPARATOR, bank))


def _section(name: str, content: bytes, bank: str) -> tuple[Event, Event]:
    return Event(f"name {name}", digest(name.encode() + b"\0", bank)), Event(name, digest(content, bank))
