"""`enarx image`: compute launch measurements from files, and explain measurements that differ."""

from __future__ import annotations

import argparse

from enarx.cli.options import Parser, add_json

KINDS = ("snp", "sev", "sev-es", "tdx", "nitro", "sgx", "tpm")
EXPLAINED = ("snp", "tdx", "nitro", "sgx", "tpm")
KIND_TEXT = f"the kind of evidence: {', '.join(EXPLAINED)} (default: detected)"


def declare(parser: Parser) -> None:
    """Declare the options of `enarx image measure` and `enarx image explain-mismatch`."""
    measuring = parser.action(
        "measure",
        measure,
        "compute the measurement of a launch from its files (docs/measurement.md)",
        "enarx image measure --kind snp --firmware OVMF.amdsev.fd --kernel vmlinuz --initrd initrd --append 'console=ttyS0'",
        "enarx image measure --kind tdx --firmware OVMF.fd --kernel vmlinuz --initrd initrd --append 'console=ttyS0'",
        "enarx image measure --kind nitro --eif enclave.eif --json",
        "enarx image measure --kind sgx --sigstruct enclave.sig",
        "enarx image measure --kind tpm --uki linux.efi --bank sha256",
    )
    measuring.add_argument("--kind", required=True, choices=KINDS, help="the kind of hardware")
    explaining = parser.action(
        "explain-mismatch",
        explain_mismatch,
        "search for the launch behind some evidence, and name its differences from the intended one",
        "enarx image explain-mismatch report.bin --firmware OVMF.amdsev.fd --kernel vmlinuz --initrd initrd --append quiet",
    )
    explaining.add_argument(
        "evidence", metavar="EVIDENCE", help="the evidence as received; this command does not verify it"
    )
    explaining.add_argument("--kind", default="", choices=("", *EXPLAINED), metavar="KIND", help=KIND_TEXT)
    for each in (measuring, explaining):
        add_json(each)
        _boot(each, many=each is explaining)
        _sev(each)
        _tdx(each)
        _nitro(each)
    _id_block(measuring)
    _once(measuring)
    measuring.add_argument(
        "-o", "--output", default="", metavar="FILE", help="nitro: write the image assembled from the parts here"
    )


def measure(options: argparse.Namespace) -> int:
    """Print the measurement of a launch; exit code 0."""
    from enarx.cli.image_measure import measure

    return measure(options)


def explain_mismatch(options: argparse.Namespace) -> int:
    """Print the launch behind some evidence; exit code 0 if it explains every register, else 126."""
    from enarx.cli.image_explain import explain

    return explain(options)


def _boot(parser: Parser, *, many: bool) -> None:
    group = parser.section(
        "launched files", "repeat an option for alternatives; the first is the intended one" if many else None
    )
    texts = {
        "firmware": "the complete firmware, such as OVMF.fd",
        "kernel": "the kernel, as passed to the hypervisor",
        "initrd": "the initrd; nitro: a ramdisk, once for each",
        "eif": "nitro: an enclave image",
        "uki": "tpm: a unified kernel image",
        "sigstruct": "sgx: the signature structure of an enclave",
        "layout": "sgx: a JSON description of the enclave's pages",
    }
    for name, text in texts.items():
        group.add_argument(f"--{name}", action="append", default=[], metavar="FILE", help=text)
    group.add_argument("--append", action="append", default=[], metavar="TEXT", help="the kernel's command line")


def _sev(parser: Parser) -> None:
    group = parser.section("snp, sev-es, sev")
    group.add_argument("--vcpus", type=int, default=1, metavar="N", help="processors (default: 1)")
    group.add_argument(
        "--vcpu-model", default="EPYC-v4", metavar="NAME", help="a model of QEMU's -cpu, or 0x and a CPUID signature"
    )
    group.add_argument("--guest-features", default="0x1", metavar="HEX", help="SEV features (default: 0x1)")
    group.add_argument("--vmm", default="qemu", metavar="NAME", help="qemu, ec2 or gce (default: qemu)")
    group.add_argument(
        "--vmsa-era",
        default="",
        metavar="NAME",
        help="the period whose register values the VMM uses (default: current)",
    )
    group.add_argument(
        "--firmware-digest",
        default="",
        metavar="HEX",
        help="snp: the digest of the firmware's pages, instead of computing it",
    )
    group.add_argument("--kernel-hash", default="", metavar="HEX", help="SHA-256 of the kernel, instead of the file")
    group.add_argument("--initrd-hash", default="", metavar="HEX", help="SHA-256 of the initrd, instead of the file")
    group.add_argument(
        "--published", default="", metavar="FILE", help="snp: the published metadata of a firmware, JSON"
    )


def _tdx(parser: Parser) -> None:
    group = parser.section("tdx, tpm")
    group.add_argument(
        "--page-order",
        default="two-pass",
        choices=("two-pass", "one-pass"),
        help="the hypervisor's order of adding pages (default: two-pass)",
    )
    group.add_argument(
        "--setup-header",
        default="plain",
        choices=("plain", "patched"),
        help="the kernel's header: unchanged, or filled in by QEMU up to 10.1 (default: plain)",
    )
    group.add_argument(
        "--memory", default="2GiB", metavar="SIZE", help="memory of the machine, for a patched kernel (default: 2GiB)"
    )
    group.add_argument("--separators", type=int, default=1, metavar="N", help="tdx: separators in RTMR1 (default: 1)")
    group.add_argument(
        "--event-log", default="", metavar="FILE", help="a boot event log: replay it and classify its events"
    )
    group.add_argument(
        "--passed", action="append", default=[], metavar="TEXT", help="tpm: an external command line of the UKI"
    )


def _nitro(parser: Parser) -> None:
    group = parser.section("nitro")
    group.add_argument("--certificate", default="", metavar="FILE", help="the signer's certificate, PEM")


def _id_block(parser: Parser) -> None:
    group = parser.section("snp: ID block of the launch")
    group.add_argument("--id-key", default="", metavar="FILE", help="sign an ID block with this key, PEM, P-384")
    group.add_argument("--author-key", default="", metavar="FILE", help="sign the ID key with this key, PEM, P-384")
    group.add_argument("--guest-policy", default="0x30000", metavar="HEX", help="the guest policy (default: 0x30000)")
    group.add_argument(
        "--guest-svn", type=int, default=0, metavar="N", help="the guest's security version (default: 0)"
    )
    group.add_argument("--family-id", default="", metavar="HEX", help="the family ID, 16 bytes (default: zeros)")
    group.add_argument("--image-id", default="", metavar="HEX", help="the image ID, 16 bytes (default: zeros)")
    group.add_argument("--check-id-block", default="", metavar="FILE", help="verify this ID block against the launch")
    group.add_argument(
        "--check-id-auth", default="", metavar="FILE", help="the authentication information of that ID block"
    )


def _once(parser: Parser) -> None:
    group = parser.section("more about the launch")
    group.add_argument("--svsm", default="", metavar="FILE", help="snp: an SVSM below the firmware")
    group.add_argument(
        "--variables", default="0", metavar="SIZE", help="snp: size of the variables between SVSM and firmware"
    )
    group.add_argument(
        "--bank", default="sha384", metavar="NAME", help="tpm: sha1, sha256, sha384 or sha512 (default: sha384)"
    )
    group.add_argument(
        "--phase", action="append", default=[], metavar="NAME", help="tpm: a boot phase that extends PCR 11; repeatable"
    )
    group.add_argument("--no-inner-kernel", action="store_true", help="tpm: the UKI's stub loads its kernel unmeasured")
    group.add_argument(
        "--signing-key", default="", metavar="FILE", help="nitro: sign the image with this key, PEM, P-384"
    )
