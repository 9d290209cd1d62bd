"""`enarx image measure`: the registers of each kind, computed from the user's files."""

from __future__ import annotations

import argparse
import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from enarx.cli import console, launch_files
from enarx.cli.evidence_files import load
from enarx.errors import UsageError
from enarx.formats.launch.pe import PeFile
from enarx.image.launch.registers import Event, register

Value = dict[str, Any]
EVENT_FIELDS = ("register", "what", "digest")


def measure(options: argparse.Namespace) -> int:
    """Print the measurement of a launch, as a table or as JSON; returns exit code 0."""
    launch_files.require_taken(options, options.kind)
    value = {"kind": options.kind} | MEASURES[options.kind](options)
    if options.json:
        console.show_json(value)
        return 0
    plain = {name: item for name, item in value.items() if not isinstance(item, list)}
    console.table([[name, str(item)] for name, item in plain.items()], ["what", "value"])
    for name, rows in value.items():
        if isinstance(rows, list) and rows:
            print()
            console.table([[str(cell) for cell in row.values()] for row in rows], [name, *list(rows[0])[1:]])
    return 0


def _sev(options: argparse.Namespace) -> Value:
    from enarx.image.launch.sev import measure_sev

    firmware = launch_files.firmware(launch_files.required(options, "firmware"))
    return {"measurement": measure_sev(firmware, launch_files.kernel_hashes(options)).hex()}


def _sev_es(options: argparse.Namespace) -> Value:
    from enarx.image.launch.sev import measure_sev_es

    firmware = launch_files.firmware(launch_files.required(options, "firmware"))
    processors = launch_files.processors(options)
    measured = measure_sev_es(
        firmware,
        launch_files.kernel_hashes(options),
        vcpus=processors.count,
        signature=processors.signature,
        vmm=processors.vmm,
        era=processors.era,
    )
    return {"measurement": measured.hex()}


def _snp(options: argparse.Namespace) -> Value:
    from enarx.image.launch import snp

    if options.svsm:
        measured = _svsm(options)
    else:
        launch_files.only(options, "firmware")
        firmware = launch_files.sev_firmwares(options)[0]
        hashes = launch_files.kernel_hashes(options)
        measured = snp.measure(firmware.metadata, firmware.digest, hashes, launch_files.processors(options))
    return {"measurement": measured.hex(), **_id_block(options, measured)}


def _svsm(options: argparse.Namespace) -> bytes:
    from enarx.formats.quantities import parse_size
    from enarx.image.launch import snp

    processors = launch_files.processors(options)
    if options.kernel or options.published or options.firmware_digest or processors.vmm != "qemu":
        raise UsageError("svsm", "an SVSM needs a firmware file and qemu, and excludes a kernel")
    if processors.features != snp.FEATURES:
        raise UsageError(
            "svsm", f"an SVSM starts with SEV features {snp.FEATURES:#x}, wanted --guest-features to match"
        )
    return snp.measure_svsm(
        launch_files.firmware(launch_files.required(options, "firmware")),
        launch_files.firmware(options.svsm),
        variables=parse_size(options.variables),
        vcpus=processors.count,
        signature=processors.signature,
    )


def _id_block(options: argparse.Namespace, measured: bytes) -> Value:
    from enarx.formats.launch.idblock import IdAuth, IdBlock
    from enarx.image.launch import idblock
    from enarx.image.launch.keys import signing_key

    if bool(options.check_id_block) != bool(options.check_id_auth) or (options.author_key and not options.id_key):
        raise UsageError(
            "id-block", "give an ID block together with its authentication, and an author key together with an ID key"
        )
    if options.check_id_block:
        block = IdBlock.from_bytes(load(options.check_id_block, 1 << 16))
        auth = IdAuth.from_bytes(load(options.check_id_auth, 1 << 16))
        idblock.verify(block, auth)
        idblock.require_launch(block, measured)
    elif options.id_key:
        block = _new_block(options, measured)
        author = signing_key(load(options.author_key)) if options.author_key else None
        auth = idblock.sign(block, signing_key(load(options.id_key)), author)
    else:
        return {}
    shown = {"id_block": block.to_bytes(), "id_auth": auth.to_bytes()}
    digests = {"id_key_digest": idblock.key_digest(auth.id_key)}
    if auth.has_author:
        digests["author_key_digest"] = idblock.key_digest(auth.author_key)
    return {name: base64.b64encode(data).decode() for name, data in shown.items()} | {
        name: digest.hex() for name, digest in digests.items()
    }


def _new_block(options: argparse.Namespace, measured: bytes) -> Any:
    from enarx.formats.launch.idblock import IdBlock

    nothing = "00" * 16
    return IdBlock(
        launch_digest=measured,
        family_id=launch_files.hexadecimal(options.family_id or nothing, "--family-id", 16),
        image_id=launch_files.hexadecimal(options.image_id or nothing, "--image-id", 16),
        guest_svn=launch_files.number(str(options.guest_svn), "--guest-svn", 32),
        policy=launch_files.number(options.guest_policy, "--guest-policy", 64),
    )


def _tdx(options: argparse.Namespace) -> Value:
    from enarx.image.launch import events, tdx

    value: Value = {}
    known: dict[bytes, str] = {}
    if path := launch_files.only(options, "firmware"):
        firmware = launch_files.firmware(path)
        value["mrtd"] = tdx.mrtd(firmware, order=options.page_order).hex()
        known = events.of_firmware(firmware)
    registers: dict[str, tuple[Event, ...]] = {}
    if options.kernel:
        if not 0 <= options.separators <= tdx.MAX_SEPARATORS:
            raise UsageError("separators", f"wanted 0 to {tdx.MAX_SEPARATORS} separators")
        initrd = load(launch_files.only(options, "initrd"), launch_files.MAX_FILE) if options.initrd else None
        cmdline = launch_files.cmdline(launch_files.only(options, "append"))
        registers["rtmr1"] = tdx.rtmr1(_kernel(options, "sha384"), separators=options.separators)
        registers["rtmr2"] = tdx.rtmr2(cmdline, initrd)
    if not value and not registers and not options.event_log:
        raise UsageError("image-option", "tdx needs --firmware for MRTD, --kernel for RTMR1 and 2, or --event-log")
    value |= _registers(registers, "sha384")
    return value | _log(options, "sha384", known | _names(registers))


def _kernel(options: argparse.Namespace, bank: str) -> bytes:
    """The Authenticode digest of the kernel as QEMU passes it on."""
    from enarx.image.launch.authenticode import authenticode
    from enarx.image.launch.search_boot import kernels

    launch_files.only(options, "kernel")
    if options.setup_header == "plain":
        return authenticode(PeFile.from_bytes(load(options.kernel[0], launch_files.MAX_FILE)), bank)
    _, digest = next(kernels(launch_files.boot_files(options), bank))
    return digest


def _nitro(options: argparse.Namespace) -> Value:
    from enarx.image.launch import nitro
    from enarx.image.launch.keys import signing_key

    (_, image), *others = launch_files.enclave_images(options)
    if others:
        raise UsageError("image-option", "several images, wanted one: --eif, or its parts")
    if options.signing_key:
        if not options.certificate:
            raise UsageError("image-option", "--signing-key needs --certificate")
        image = nitro.sign(image, load(options.certificate), signing_key(load(options.signing_key)))
    value: Value = {f"pcr{index}": digest.hex() for index, digest in nitro.pcrs(image).items()}
    if image.signature:
        nitro.verify(image)
        value["signature"] = "verified"
    elif options.certificate:
        value["pcr8"] = nitro.signer(load(options.certificate)).hex()
    value["metadata"] = image.metadata.decode(errors="replace")
    if options.output:
        _write(options.output, image.to_bytes())
    return value


def _write(path: str, data: bytes) -> None:
    try:
        with open(path, "xb") as file:
            file.write(data)
    except OSError as e:
        raise UsageError("file", f"{path}: {e.strerror}", hint="existing files are not overwritten") from e


def _sgx(options: argparse.Namespace) -> Value:
    from enarx.image.launch import sgx

    value: Value = {}
    if launch_files.only(options, "layout"):
        value["mr_enclave"] = sgx.mr_enclave(launch_files.layouts(options)[0][1]).hex()
    if launch_files.only(options, "sigstruct"):
        sigstruct = launch_files.sigstructs(options)[0][1]
        sgx.verify(sigstruct)
        signed = sigstruct.mr_enclave.hex()
        if value.setdefault("mr_enclave", signed) != signed:
            raise UsageError("sgx-mismatch", f"the layout measures {value['mr_enclave']}, the SIGSTRUCT signs {signed}")
        value |= {
            "mr_signer": sgx.mr_signer(sigstruct).hex(),
            "isv_prod_id": sigstruct.isv_prod_id,
            "isv_svn": sigstruct.isv_svn,
            "attributes": sigstruct.attributes.hex(),
            "attribute_mask": sigstruct.attribute_mask.hex(),
            "date": sigstruct.date,
            "signature": "verified",
        }
    if not value:
        raise UsageError("image-option", "sgx needs --layout or --sigstruct")
    return value


def _tpm(options: argparse.Namespace) -> Value:
    from enarx.image.launch import tpm

    if options.bank not in tpm.BANKS:
        raise UsageError("bank", f"{options.bank[:40]!r} is not a bank", hint=f"one of {', '.join(tpm.BANKS)}")
    if bool(options.kernel) == bool(options.uki):
        raise UsageError("image-option", "tpm needs either --kernel, for a direct boot, or --uki")
    if options.uki:
        pcrs = tpm.uki(
            PeFile.from_bytes(load(launch_files.only(options, "uki"), launch_files.MAX_FILE)),
            bank=options.bank,
            passed=[launch_files.cmdline(text) for text in options.passed],
            phases=options.phase,
            inner=not options.no_inner_kernel,
        )
    else:
        initrd = load(launch_files.only(options, "initrd"), launch_files.MAX_FILE) if options.initrd else None
        cmdline = launch_files.cmdline(launch_files.only(options, "append"))
        pcrs = tpm.direct(_kernel(options, options.bank), cmdline, initrd, bank=options.bank)
    registers = {f"pcr{index}": events for index, events in pcrs.items()}
    value = {"bank": options.bank} | _registers(registers, options.bank)
    return value | _log(options, options.bank, _names(registers))


def _registers(registers: Mapping[str, tuple[Event, ...]], bank: str) -> Value:
    value: Value = {name: register(events, bank).hex() for name, events in registers.items()}
    rows = [(name, event.what, event.digest.hex()) for name, events in registers.items() for event in events]
    return value | ({"events": [dict(zip(EVENT_FIELDS, row, strict=True)) for row in rows]} if rows else {})


def _names(registers: Mapping[str, Iterable[Event]]) -> dict[bytes, str]:
    return {event.digest: event.what for events in registers.values() for event in events}


def _log(options: argparse.Namespace, bank: str, known: Mapping[bytes, str]) -> Value:
    """The replayed registers of a log, and the origin of each event."""
    if not options.event_log:
        return {}
    from enarx.cli.image_explain import log_value

    return log_value(options.event_log, options.kind, bank, known)


MEASURES: Mapping[str, Callable[[argparse.Namespace], Value]] = {
    "snp": _snp,
    "sev": _sev,
    "sev-es": _sev_es,
    "tdx": _tdx,
    "nitro": _nitro,
    "sgx": _sgx,
    "tpm": _tpm,
}
