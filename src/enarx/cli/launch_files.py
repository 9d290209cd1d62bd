"""The files of a launch, loaded and parsed from the user's options."""

from __future__ import annotations

import argparse
import hashlib
import os

from enarx.api import acceptance
from enarx.cli.evidence_files import load
from enarx.errors import UsageError
from enarx.formats.launch.eif import RAMDISK, Eif, sections
from enarx.formats.launch.enclave import Enclave
from enarx.formats.launch.firmware import MAX_SIZE as MAX_FIRMWARE
from enarx.formats.launch.firmware import Firmware
from enarx.formats.launch.published import Published
from enarx.formats.launch.sigstruct import SigStruct
from enarx.formats.quantities import parse_size
from enarx.image.launch import cpus, snp, vmsa
from enarx.image.launch.hashes import KernelHashes, cmdline_hash
from enarx.image.launch.search import NOTHING, Boots, SevFirmware
from enarx.image.launch.search_boot import File, Files

MAX_FILE = 1 << 30
MAX_SMALL = 1 << 20
BOOT = ("kernel", "initrd", "append")
HASHES = ("kernel_hash", "initrd_hash")
TAKEN = {
    "snp": ("firmware", *BOOT, *HASHES, "published", "firmware_digest", "svsm"),
    "sev": ("firmware", *BOOT, *HASHES),
    "sev-es": ("firmware", *BOOT, *HASHES),
    "tdx": ("firmware", *BOOT, "event_log"),
    "nitro": ("eif", *BOOT, "certificate", "signing_key", "output"),
    "sgx": ("sigstruct", "layout"),
    "tpm": ("uki", *BOOT, "event_log", "phase", "passed"),
}
"""The file options that each kind measures."""


def require_taken(options: argparse.Namespace, kind: str) -> None:
    """Refuse files that this kind does not measure; UsageError."""
    for name in sorted({name for names in TAKEN.values() for name in names}):
        if getattr(options, name, None) and name not in TAKEN[kind]:
            taken = ", ".join(f"--{name.replace('_', '-')}" for name in TAKEN[kind])
            message = f"{kind} does not measure --{name.replace('_', '-')}"
            raise UsageError("image-option", message, hint=f"{kind} takes {taken}")
    started = options.kernel or options.kernel_hash or options.published or (options.uki and not options.initrd)
    if (options.initrd or options.initrd_hash or options.append) and not started:
        raise UsageError("image-option", "an initrd or a command line without a kernel")


def only(options: argparse.Namespace, name: str) -> str:
    """The single value of a repeatable option, empty if not given; UsageError if it is repeated."""
    paths: list[str] = getattr(options, name)
    if len(paths) > 1:
        raise UsageError("image-option", f"--{name} is given {len(paths)} times, wanted once")
    return paths[0] if paths else ""


def required(options: argparse.Namespace, name: str) -> str:
    """The single value of a repeatable option; UsageError if it is missing or repeated."""
    path = only(options, name)
    if not path:
        raise UsageError("image-option", f"{options.kind} needs --{name}", hint="enarx image measure --help")
    return path


def firmware(path: str) -> Firmware:
    """The firmware in a file; UsageError, ParseError."""
    return Firmware.from_bytes(load(path, MAX_FIRMWARE))


def cmdline(text: str) -> bytes:
    """The bytes of a command line, exactly as the shell passed them."""
    return os.fsencode(text)


def hexadecimal(text: str, name: str, size: int) -> bytes:
    """The `size` bytes that hexadecimal digits stand for; UsageError names the option."""
    return acceptance.hexadecimal(text, size, f"{name} {text[:40]!r}", code="image-option")


def number(text: str, name: str, bits: int) -> int:
    """An unsigned integer in decimal, or in hexadecimal with 0x; UsageError."""
    try:
        value = int(text, 0) if text.isascii() and "_" not in text else -1
    except ValueError:
        value = -1
    if not 0 <= value < 1 << bits:
        raise UsageError("image-option", f"{name} {text[:40]!r}: wanted a number of {bits} bits")
    return value


def processors(options: argparse.Namespace) -> snp.Processors:
    """The processors that the options describe; UsageError."""
    if options.vmm not in vmsa.VMMS:
        raise UsageError("vmm", f"{options.vmm[:40]!r} is not a known VMM", hint=f"one of {', '.join(vmsa.VMMS)}")
    era = options.vmsa_era or vmsa.CURRENT
    if era not in vmsa.VMMS[options.vmm].eras:
        eras = ", ".join(vmsa.VMMS[options.vmm].eras)
        raise UsageError("vmsa-era", f"{era[:40]!r} is not an era of {options.vmm}", hint=f"one of {eras}")
    return snp.Processors(
        count=options.vcpus,
        signature=cpus.by_name(options.vcpu_model),
        features=number(options.guest_features, "--guest-features", 64),
        vmm=options.vmm,
        era=era,
    )


def published(options: argparse.Namespace) -> Published | None:
    """The published metadata of a firmware, or None if not given."""
    return Published.from_json(load(options.published, MAX_SMALL)) if options.published else None


def sev_firmwares(options: argparse.Namespace) -> tuple[SevFirmware, ...]:
    """All given firmwares, published metadata first; UsageError if none is given."""
    firmwares = []
    if known := published(options):
        firmwares.append(SevFirmware(name=options.published, metadata=known.metadata, digest=known.firmware))
    for path in options.firmware:
        read = firmware(path)
        firmwares.append(SevFirmware(name=path, metadata=read.sev(), digest=snp.firmware_digest(read)))
    if not firmwares:
        raise UsageError("image-option", "snp needs --firmware, or --published", hint="enarx image measure --help")
    if options.firmware_digest:
        digest = hexadecimal(options.firmware_digest, "--firmware-digest", snp.SIZE)
        firmwares[0] = SevFirmware(name=firmwares[0].name, metadata=firmwares[0].metadata, digest=digest)
    return tuple(firmwares)


def kernel_hashes(options: argparse.Namespace) -> KernelHashes | None:
    """The given or published hashes of kernel, initrd and command line; None without a kernel."""
    only(options, "kernel")
    only(options, "initrd")
    boots = sev_boots(options)
    if not boots.kernels:
        return None
    return KernelHashes(
        kernel=boots.kernels[0][1],
        initrd=boots.initrds[0][1] if boots.initrds else NOTHING,
        cmdline=cmdline_hash(cmdline(only(options, "append"))),
    )


def sev_boots(options: argparse.Namespace) -> Boots:
    """Kernels and initrds with their SHA-256, and command lines: first files, then given hashes, then published ones."""
    known = published(options)
    return Boots(
        kernels=_hashed(
            options.kernel, options.kernel_hash, "--kernel-hash", known.kernel if known else None, options.published
        ),
        initrds=_hashed(
            options.initrd, options.initrd_hash, "--initrd-hash", known.initrd if known else None, options.published
        ),
        cmdlines=tuple(cmdline(text) for text in options.append),
    )


def _hashed(paths: list[str], given: str, name: str, known: bytes | None, source: str) -> tuple[tuple[str, bytes], ...]:
    hashes = [(path, sha256(path)) for path in paths]
    if given:
        hashes.append((given, hexadecimal(given, name, 32)))
    if known:
        hashes.append((source, known))
    return tuple(hashes)


def sha256(path: str) -> bytes:
    """The SHA-256 of a file, 32 bytes; UsageError."""
    return hashlib.sha256(load(path, MAX_FILE)).digest()


def files(paths: list[str]) -> tuple[File, ...]:
    """The files with their names; UsageError."""
    return tuple((path, load(path, MAX_FILE)) for path in paths)


def boot_files(options: argparse.Namespace) -> Files:
    """Kernels, initrds and command lines, with the options that describe how QEMU passes a kernel on."""
    return Files(
        kernels=files(options.kernel),
        initrds=files(options.initrd),
        cmdlines=tuple(cmdline(text) for text in options.append),
        memory=parse_size(options.memory),
        header=options.setup_header,
    )


def enclave_images(options: argparse.Namespace) -> tuple[tuple[str, Eif], ...]:
    """Enclave images with their names, the one assembled from parts first; UsageError if none is given."""
    images = [(path, Eif.from_bytes(load(path, MAX_FILE))) for path in options.eif]
    if options.kernel:
        images.insert(0, ("the given parts", _assembled(options)))
    if not images:
        raise UsageError("image-option", "nitro needs --eif, or --kernel, --append and --initrd")
    return tuple(images)


def _assembled(options: argparse.Namespace) -> Eif:
    ramdisks = tuple(load(path, MAX_FILE) for path in options.initrd)
    order = sections(len(ramdisks), metadata=False, signature=False)
    if RAMDISK not in order:
        raise UsageError("image-option", "an enclave needs a ramdisk: --initrd")
    return Eif(
        arm64=False,
        memory=0,
        cpus=0,
        order=order,
        kernel=load(only(options, "kernel"), MAX_FILE),
        cmdline=cmdline(only(options, "append")),
        ramdisks=ramdisks,
        metadata=b"",
        signature=b"",
    )


def layouts(options: argparse.Namespace) -> tuple[tuple[str, Enclave], ...]:
    """Enclave layouts with their names; the files that they name lie beside them."""

    def read(path: str) -> Enclave:
        home = os.path.dirname(path)
        return Enclave.from_json(load(path, MAX_SMALL), lambda name: load(os.path.join(home, name), MAX_FILE))

    return tuple((path, read(path)) for path in options.layout)


def sigstructs(options: argparse.Namespace) -> tuple[tuple[str, SigStruct], ...]:
    """SIGSTRUCTs with the names of their files."""
    return tuple((path, SigStruct.from_bytes(load(path, MAX_SMALL))) for path in options.sigstruct)
