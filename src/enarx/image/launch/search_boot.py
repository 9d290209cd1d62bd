"""Candidates for the registers of a TDX guest or of a TPM: kernels, initrds, command lines and UKIs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from enarx.errors import UsageError
from enarx.formats.launch.firmware import Firmware
from enarx.formats.launch.pe import PeFile
from enarx.image.launch import tdx, tpm
from enarx.image.launch.authenticode import authenticode
from enarx.image.launch.kernel import patched
from enarx.image.launch.registers import register
from enarx.image.launch.search import NONE, Candidate
from enarx.record import record

PLAIN, PATCHED = "plain", "patched"
STEP = 128 << 20
MEMORIES = (2 << 30, *range(STEP, 0xB0000000, STEP))
"""Sizes of memory in bytes that give different headers; 2.75 GiB and more give the same as 2 GiB."""

MAX_SEPARATORS = 8
File = tuple[str, bytes]


@record(hidden=("kernels", "initrds"))
class Files:
    """Named files and command lines, the intended ones first; memory in bytes; PLAIN or PATCHED as the expected header."""

    kernels: tuple[File, ...]
    initrds: tuple[File, ...]
    cmdlines: tuple[bytes, ...]
    memory: int
    header: str


def mrtd_launches(firmwares: tuple[tuple[str, Firmware], ...], order: str) -> Iterator[Candidate]:
    """MRTD for each firmware and each page order."""
    for (name, firmware), chosen in product(firmwares, dict.fromkeys((order, *tdx.ORDERS))):
        yield {"firmware": name, "page-order": chosen}, tdx.mrtd(firmware, order=chosen)


def rtmr1_launches(files: Files, separators: int) -> Iterator[Candidate]:
    """RTMR1 for each kernel, each form of its header, and each number of separators."""
    for options, kernel in kernels(files, "sha384"):
        for count in dict.fromkeys((separators, *range(MAX_SEPARATORS))):
            yield options | {"separators": str(count)}, register(tdx.rtmr1(kernel, separators=count))


def stub_launches(files: Files, bank: str) -> Iterator[Candidate]:
    """RTMR2, or PCR 9 of a direct boot, for each command line and initrd."""
    for cmdline, (name, initrd) in product(dict.fromkeys((*files.cmdlines, b"")), (*files.initrds, (NONE, b""))):
        options = {"append": repr(cmdline.decode(errors="replace")), "initrd": name}
        yield options, register(tdx.rtmr2(cmdline, initrd, bank=bank), bank)


def pcr4_launches(files: Files, images: tuple[File, ...], bank: str) -> Iterator[Candidate]:
    """PCR 4 for each directly started kernel and for each UKI."""
    for options, kernel in kernels(files, bank):
        yield options, register(tpm.direct(kernel, b"", None, bank=bank)[4], bank)
    for (name, data), inner in product(images, (True, False)):
        registers = tpm.uki(PeFile.from_bytes(data), bank=bank, inner=inner)
        yield {"uki": name, "inner-kernel": "measured" if inner else "not measured"}, register(registers[4], bank)


def pcr9_launches(files: Files, images: tuple[File, ...], bank: str) -> Iterator[Candidate]:
    """PCR 9 for each command line and initrd of a direct boot, and for each UKI that determines it."""
    if files.kernels:
        yield from stub_launches(files, bank)
    for name, data in images:
        registers = tpm.uki(PeFile.from_bytes(data), bank=bank, inner=False)
        if 9 in registers:
            yield {"uki": name}, register(registers[9], bank)


def pcr11_launches(images: tuple[File, ...], bank: str) -> Iterator[Candidate]:
    """PCR 11 for each UKI after each phase of the boot."""
    for (name, data), count in product(images, range(len(tpm.PHASES) + 1)):
        phases = tpm.PHASES[:count]
        registers = tpm.uki(PeFile.from_bytes(data), bank=bank, phases=phases, inner=False)
        yield {"uki": name, "phases": ",".join(phases) or NONE}, register(registers[11], bank)


def pcr12_launches(cmdlines: tuple[bytes, ...], bank: str) -> Iterator[Candidate]:
    """PCR 12 without an external command line, and with each."""
    yield {"passed": NONE}, register((), bank)
    for line in cmdlines:
        yield {"passed": repr(line.decode(errors="replace"))}, register((tpm.passed_cmdline(line, bank),), bank)


def kernels(files: Files, bank: str) -> Iterator[tuple[dict[str, str], bytes]]:
    """The Authenticode digest of each kernel: plain, and patched for each size of memory and each initrd."""
    for name, kernel in files.kernels:
        for header in dict.fromkeys((files.header, PLAIN, PATCHED)):
            if header == PLAIN:
                yield {"kernel": name, "setup-header": PLAIN}, authenticode(PeFile.from_bytes(kernel), bank)
            else:
                yield from _patched(name, kernel, files, bank)


def _patched(name: str, kernel: bytes, files: Files, bank: str) -> Iterator[tuple[dict[str, str], bytes]]:
    memories = dict.fromkeys((files.memory, *MEMORIES))
    for (initrd, content), memory in product((*files.initrds, (NONE, b"")), memories):
        try:
            changed = patched(kernel, memory=memory, initrd_size=len(content))
        except UsageError:
            continue  # the initrd does not fit into that memory
        options = {"kernel": name, "setup-header": PATCHED, "initrd": initrd, "memory": f"{memory >> 20}MiB"}
        yield options, authenticode(PeFile.from_bytes(changed), bank)
        if not content:
            break  # without an initrd, memory makes no difference
