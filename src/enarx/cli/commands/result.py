"""`enarx result`: what a receipt proves about a run, to anyone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from enarx.cli import console
from enarx.cli.options import Parser, add_json, add_verifier
from enarx.errors import ParseError, UsageError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.delivery.reading import Final
    from enarx.delivery.receipt import Receipt

PIECE = 1 << 20
"""Bytes of output read at a time."""


def declare(parser: Parser) -> None:
    """Declare the options of `enarx result verify`."""
    verifying = parser.action(
        "verify",
        verify,
        "verify a receipt: who ran which package, how it ended, and what it wrote",
        "enarx result verify job.receipt --stdout out.txt --out results::/out --simulated-root root.pub",
        "enarx result verify job.receipt --package 00ff... --policy snp.toml --endorsements certs/",
    )
    verifying.add_argument("receipt", metavar="RECEIPT", help="from --receipt of run, deploy, keep attach or keep logs")
    verifying.add_argument("--stdout", metavar="FILE", default="", help="the workload's stdout, to check")
    verifying.add_argument("--stderr", metavar="FILE", default="", help="the workload's stderr, to check")
    verifying.add_argument(
        "--out", action="append", default=[], metavar="DIR::GUEST", help="the content of an output directory, to check"
    )
    verifying.add_argument("--package", metavar="HEX", default="", help="the package digest that the receipt must name")
    verifying.add_argument("--at", metavar="TIME", default="now", help="RFC 3339: verify the evidence at this time")
    add_json(verifying)
    add_verifier(verifying)


def verify(options: argparse.Namespace) -> int:
    """Verify the evidence under the caller's policy, the signature, and the output if given; 0 if all of it holds."""
    from enarx.cli import attestation
    from enarx.cli.evidence_files import unix_time
    from enarx.delivery.messages import Attestation
    from enarx.delivery.session import STDERR, STDOUT
    from enarx.record import as_dict
    from enarx.tenant.deploy import ReceivedEvidence

    receipt = _receipt(options.receipt)
    if options.package and receipt.package != _digest(options.package):
        raise VerificationError("receipt-package", f"the receipt is of package {receipt.package.hex()}")
    now = None if options.at == "now" else unix_time(options.at)
    verifier, verdict = attestation.verifier(options, receipt.package, now=now)
    attested = Attestation.from_bytes(receipt.attestation)
    verifier(
        ReceivedEvidence(
            kind=attested.kind,
            evidence=attested.evidence,
            endorsements=attested.endorsements,
            report_data=receipt.report_data,
        )
    )
    final = receipt.verify()
    shown = {}
    for name, stream, path in (("stdout", STDOUT, options.stdout), ("stderr", STDERR, options.stderr)):
        if path:
            receipt.verify_output(final, stream, _pieces(path))
        shown[name] = "verified" if path else "not checked"
    directories = _directories(final, options.out)
    status = final.status
    if options.json:
        value = {"package": receipt.package.hex(), "session": receipt.transcript.hex(), "delivered": receipt.time}
        value |= {"status": as_dict(status), "output": shown, "directories": directories}
        console.show_json({**value, "attestation": verdict.summary})
        return 0
    console.show(f"package {receipt.package.hex()}")
    console.show(f"ended by {status.cause}" + (f" with {status.code}" if status.cause == "exit" else ""))
    console.show(f"stdout: {status.stdout} bytes, {shown['stdout']}")
    console.show(f"stderr: {status.stderr} bytes, {shown['stderr']}")
    for guest, state in directories.items():
        console.show(f"{guest}: {state}")
    return 0


def _directories(final: Final, texts: list[str]) -> dict[str, str]:
    """What was checked of each output directory in the receipt; VerificationError for other content."""
    from enarx.cli import workload
    from enarx.tenant.results import digest_of

    places, digests = workload.places(texts), dict(final.directories)
    shown = dict.fromkeys(digests, "not checked")
    for guest, path in places.items():
        if guest not in digests:
            raise VerificationError("receipt-directory", f"the receipt has no output directory {guest}")
        if digest_of(path) != digests[guest]:
            raise VerificationError("receipt-directory", f"{path} is not what the workload left in {guest}")
        shown[guest] = "verified"
    return shown


def _receipt(path: str) -> Receipt:
    from enarx.cli.evidence_files import load
    from enarx.delivery.receipt import MAX_RECEIPT, Receipt

    try:
        return Receipt.from_bytes(load(path, MAX_RECEIPT))
    except ParseError as e:
        raise ParseError(e.code, f"{path} is not a receipt: {e.message}", what=e.what, offset=e.offset) from e


def _pieces(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except OSError as e:
        raise UsageError("file", f"{path}: {e.strerror}") from e


def _digest(text: str) -> bytes:
    from enarx.formats.text import hex_bytes

    try:
        return hex_bytes(text, 32)
    except ValueError as e:
        raise UsageError("hex", f"--package: {e}") from None
