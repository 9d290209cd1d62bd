"""PCRs of a TPM after OVMF has started a kernel directly, or a unified kernel image (UKI) from a disk.

Sources for UKIs: UAPI.5 Unified Kernel Image for the order of sections, systemd's TPM2_PCR_MEASUREMENTS.md for their
measurement, and systemd-stub 257 for the command line and the initrd that it passes to the kernel (PCR 9).
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
"""The sections of a UKI that systemd-stub measures, in order. It does not measure .pcrsig, which signs the result."""

EXTRA = {
    ".pcrsig": "tpm2-pcr-signature.json",
    ".pcrpkey": "tpm2-pcr-public-key.pem",
    ".osrel": "os-release",
    ".profile": "profile",
}
"""Sections that the stub appends to the initrd as files below `/.extra`, in order."""

PHASES = ("enter-initrd", "leave-initrd", "sysinit", "ready")
"""The phases with which systemd extends PCR 11 during a boot, in order."""

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
    """PCRs 4, 8, 9, 11 and 12 of a UKI that firmware starts from a disk; UsageError, ParseError.

    `passed` are external command lines. `inner` tells whether the stub loads the inner kernel through the firmware, which
    then measures it. PCR 9 is omitted if it depends on more than the image: with `passed`, or without a command line.
    """
    linux = image.section(".linux")
    if linux is None:
        raise UsageError("uki", "no section .linux: this is not a unified kernel image")
    started = [Event("UKI", authenticode(image, bank))]
    if inner:
        started.append(Event("inner kernel", authenticode(PeFile.from_bytes(linux), bank)))
    sections = ((name, image.section(name)) for name in SECTIONS)
    measured = [event for name, content in sections if content is not None for event in _section(name, content, bank)]
    lines = tuple(passed)
    cmdline = image.section(".cmdline")
    stub = {9: _handed_on(image, cmdline, bank)} if cmdline is not None and not lines else {}
    return {
        4: (*_calling(bank), *started),
        8: (),
        **stub,
        11: (*measured, *(Event(f"phase {phase}", digest(phase.encode(), bank)) for phase in phases)),
        12: tuple(passed_cmdline(line, bank) for line in lines),
    }


def passed_cmdline(line: bytes, bank: str) -> Event:
    """The event in PCR 12 for an external command line, measured as UTF-16 without a NUL."""
    return Event("external command line", digest(line.decode(errors="replace").encode("utf-16-le"), bank))


def _handed_on(image: PeFile, cmdline: bytes, bank: str) -> tuple[Event, ...]:
    """The events of the kernel for the command line and the initrd that the stub passes to it."""
    text = cmdline.partition(b"\0")[0].decode(errors="replace")
    text = "".join(c if c >= " " else " " for c in text).rstrip(" ")
    parts = [content for name in (".ucode", ".initrd") if (content := image.section(name)) is not None]
    parts += [_archive(file, content) for name, file in EXTRA.items() if (content := image.section(name)) is not None]
    initrd = b"".join(part + bytes(-len(part) % 4) for part in parts) if len(parts) > 1 else b"".join(parts)
    options = Event("command line", digest((text + "\0").encode("utf-16-le"), bank))
    return (options, Event("initrd assembled by the stub", digest(initrd, bank))) if initrd else (options,)


def _archive(name: str, content: bytes) -> bytes:
    """The stub's cpio archive of one file below `/.extra`."""
    entries = ((1, 0o40555, ".extra", b""), (2, 0o100444, f".extra/{name}", content))
    files = b"".join(_entry(*entry) for entry in entries)
    return files + _newc(0, 0, 0, "0000000B") + b"TRAILER!!!".ljust(14, b"\0")


def _entry(inode: int, mode: int, name: str, content: bytes) -> bytes:
    head = _newc(inode, mode, len(content), f"{len(name) + 1:08x}") + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def _newc(inode: int, mode: int, size: int, name_size: str) -> bytes:
    numbers = (inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0)
    return ("070701" + "".join(f"{number:08x}" for number in numbers) + name_size + "00000000").encode()


def _calling(bank: str) -> tuple[Event, Event]:
    return Event("action: calling a boot option", digest(CALLING, bank)), Event("separator", digest(SEPARATOR, bank))


def _section(name: str, content: bytes, bank: str) -> tuple[Event, Event]:
    return Event(f"name {name}", digest(name.encode() + b"\0", bank)), Event(name, digest(content, bank))
