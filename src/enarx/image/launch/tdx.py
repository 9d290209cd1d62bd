"""Launch measurement of Intel TDX: MRTD, and RTMR1 and RTMR2 of a direct boot under OVMF.

MRTD: Intel TDX Module ABI (TDH.MEM.PAGE.ADD, TDH.MR.EXTEND), a SHA-384 over a block of 128 bytes for each added page, and
a block and the content for each 256 bytes of content. RTMRs: UEFI 2.10, 38.4.1; the events were taken from real logs
(docs/measurement.md).
"""

from __future__ import annotations

import hashlib

from enarx.formats.launch.firmware import AUGMENT, EXTEND, PAGE, Firmware, TdxSection
from enarx.image.launch.kernel import load_options
from enarx.image.launch.registers import Event, digest

CHUNK = 256
BLOCK = 128
ONE_PASS, TWO_PASS = "one-pass", "two-pass"
ORDERS = (TWO_PASS, ONE_PASS)
"""Whether a hypervisor adds all pages of a section before their content, or each page together with its content."""

CALLING = b"Calling EFI Application from Boot Option"
EXITS = (b"Exit Boot Services Invocation", b"Exit Boot Services Returned with Success")
SEPARATOR = bytes(4)
MAX_SEPARATORS = 16


def mrtd(firmware: Firmware, *, order: str) -> bytes:
    """MRTD, 48 bytes; ParseError if the firmware's TDX metadata are missing or malformed."""
    sha = hashlib.sha384()
    for section in firmware.tdx():
        if section.attributes & AUGMENT:
            continue
        pages = range(0, section.size, PAGE)
        content = firmware.raw[section.offset : section.offset + section.raw_size]
        content = content.ljust(section.size, b"\0") if section.attributes & EXTEND else b""
        if order == ONE_PASS:
            for at in pages:
                sha.update(_add(section, at))
                sha.update(_extend(section, content, at))
        else:
            for at in pages:
                sha.update(_add(section, at))
            for at in pages:
                sha.update(_extend(section, content, at))
    return sha.digest()


def _add(section: TdxSection, at: int) -> bytes:
    return _block(b"MEM.PAGE.ADD", section.address + at)


def _extend(section: TdxSection, content: bytes, at: int) -> bytes:
    """The bytes that extend MRTD with one page's content; empty if the content is not measured."""
    chunks = range(at, min(at + PAGE, len(content)), CHUNK)
    return b"".join(_block(b"MR.EXTEND", section.address + i) + content[i : i + CHUNK] for i in chunks)


def _block(operation: bytes, address: int) -> bytes:
    return (operation.ljust(16, b"\0") + address.to_bytes(8, "little")).ljust(BLOCK, b"\0")


def rtmr1(kernel: bytes, *, separators: int = 1, bank: str = "sha384") -> tuple[Event, ...]:
    """The events of RTMR1 for a kernel with this Authenticode digest.

    `separators` is the number of separators that RTMR1 receives before the kernel starts: one in edk2 releases.
    """
    return (
        Event("kernel", kernel),
        Event("action: calling the kernel", digest(CALLING, bank)),
        *[Event("separator", digest(SEPARATOR, bank))] * separators,
        *(Event(f"action: {text.decode().lower()}", digest(text, bank)) for text in EXITS),
    )


def rtmr2(cmdline: bytes, initrd: bytes | None, *, bank: str = "sha384") -> tuple[Event, ...]:
    """The events of RTMR2, or of PCR 9: command line and initrd, as measured by the kernel's EFI stub."""
    options = Event("command line", digest(load_options(cmdline, initrd=bool(initrd)), bank))
    return (options, Event("initrd", digest(initrd, bank))) if initrd else (options,)
