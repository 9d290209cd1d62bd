"""`enarx image`: what hardware measures of a launch, and what was launched where it measured something else."""

from __future__ import annotations

import argparse

from enarx.cli.options import Parser, add_json

KINDS = ("snp", "sev", "sev-es", "tdx", "nitro", "sgx", "tpm")
EXPLAINED = ("snp", "tdx", "nitro", "sgx", "tpm")
KIND_TEXT = f"its kind, one of {', '.join(EXPLAINED)} (default: by how it begins)"


def declare(parser: Parser) -> None:
    """`enarx image measure` and `enarx image explain-mismatch`."""
    measuring = parser.action(
        "measure",
        measure,
        "compute what hardware measures of a launch (docs/measurement.md)",
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
        "find the launch that evidence was measured from, and name what differs from the intended one",
        "enarx image explain-mismatch report.bin --firmware OVMF.amdsev.fd --kernel vmlinuz --initrd initrd --append quiet",
    )
    explaining.add_argument("evidence", metavar="EVIDENCE", help="the evidence, as received; it is not verified here")
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
    """Compute and show what a launch measures; 0."""
    from enarx.cli.image_measure import measure

    return measure(options)


def explain_mismatch(options: argparse.Namespace) -> int:
    """Find what was launched; 0 if every register is explained, 126 if one is not."""
    from enarx.cli.image_explain import explain

    return explain(options)


def _boot(parser: Parser, *, many: bool) -> None:
    group = parser.section("what is launched", "of each the first is what was intended" if many else None)
    texts = {
        "firmware": "the whole firmware, such as OVMF.fd",
        "kernel": "the kernel, as handed to the hypervisor",
        "initrd": "the initrd; nitro: a ramdisk, once for each",
        "eif": "nitro: an enclave image",
        "uki": "tpm: a unified kernel image",
        "sigstruct": "sgx: the signature structure of an enclave",
        "layout": "sgx: a description of the enclave's pages, JSON",
    }
    for name, text in texts.items():
        group.add_argument(f"--{name}", action="append", default=[], metavar="FILE", help=text)
    group.add_argument("--append", action="append", default=[], metavar="TEXT", help="the kernel's command line")


def _sev(parser: Parser) -> None:
    group = parser.section("snp, sev-es, sev")
    group.add_argument("--vcpus", type=int, default=1, metavar="N", help="processors (default: 1)")
    group.add_argument(
        "--vcpu-model", default="EPYC-v4", metavar="NAME", help="as QEMU's -cpu, or 0x and a CPUID signature"
    )
    group.add_argument("--guest-features", default="0x1", metavar="HEX", help="SEV features (default: 0x1)")
    group.add_argument("--vmm", default="qemu", metavar="NAME", help="qemu, ec2 or gce (default: qemu)")
    group.add_argument(
        "--vmsa-era", default="", metavar="NAME", help="how the VMM sets processors up (default: as today)"
    )
    group.add_argument(
        "--firmware-digest", default="", metavar="HEX", help="snp: the firmware's digest, in place of its own"
    )
    group.add_argument("--kernel-hash", default="", metavar="HEX", help="SHA-256 of the kernel, in place of the file")
    group.add_argument("--initrd-hash", default="", metavar="HEX", help="SHA-256 of the initrd, in place of the file")
    group.add_argument("--published", default="", metavar="FILE", help="snp: a firmware's published metadata, JSON")


def _tdx(parser: Parser) -> None:
    group = parser.section("tdx, tpm")
    group.add_argument("--page-order", default="two-pass", choices=("two-pass", "one-pass"), help="of the hypervisor")
    group.add_argument(
        "--setup-header",
        default="plain",
        choices=("plain", "patched"),
        help="the kernel as it is, or filled in by QEMU up to 10.1 (default: plain)",
    )
    group.add_argument("--memory", default="2GiB", metavar="SIZE", help="of the machine, for a patched kernel")
    group.add_argument("--separators", type=int, default=1, metavar="N", help="tdx: in RTMR1 (default: 1)")
    group.add_argument("--event-log", default="", metavar="FILE", help="the boot event log, for RTMR0 and each event")
    group.add_argument(
        "--passed", action="append", default=[], metavar="TEXT", help="tpm: a command line beside the UKI's own"
    )


def _nitro(parser: Parser) -> None:
    group = parser.section("nitro")
    group.add_argument("--certificate", default="", metavar="FILE", help="the signer's certificate, PEM")


def _id_block(parser: Parser) -> None:
    group = parser.section("snp: ID block of this launch")
    group.add_argument("--id-key", default="", metavar="FILE", help="sign one with this key, PEM, P-384")
    group.add_argument("--author-key", default="", metavar="FILE", help="and the ID key with this one")
    group.add_argument("--guest-policy", default="0x30000", metavar="HEX", help="the guest's policy (default: 0x30000)")
    group.add_argument("--guest-svn", type=int, default=0, metavar="N", help="its security version")
    group.add_argument("--family-id", default="", metavar="HEX", help="16 bytes")
    group.add_argument("--image-id", default="", metavar="HEX", help="16 bytes")
    group.add_argument("--check-id-block", default="", metavar="FILE", help="verify this ID block against the launch")
    group.add_argument("--check-id-auth", default="", metavar="FILE", help="with this authentication")


def _once(parser: Parser) -> None:
    group = parser.section("more of one launch")
    group.add_argument("--svsm", default="", metavar="FILE", help="snp: an SVSM below the firmware")
    group.add_argument(
        "--variables", default="0", metavar="SIZE", help="snp: of the variables between SVSM and firmware"
    )
    group.add_argument("--bank", default="sha384", metavar="NAME", help="tpm: sha1, sha256, sha384 or sha512")
    group.add_argument(
        "--phase", action="append", default=[], metavar="NAME", help="tpm: a phase of the boot, in PCR 11"
    )
    group.add_argument(
        "--no-inner-kernel", action="store_true", help="tpm: the UKI's stub does not have its kernel measured"
    )
    group.add_argument(
        "--signing-key", default="", metavar="FILE", help="its key, PEM: sign the image made of the parts"
    )
