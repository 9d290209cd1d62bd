"""`enarx evidence`: show what evidence claims, verify it, and try both on an example."""

from __future__ import annotations

import argparse

from enarx.cli.options import Parser, add_json


def declare(parser: Parser) -> None:
    """Declare the options of `enarx evidence show`, `verify` and `example`."""
    showing = parser.action("show", show, "show what evidence claims, unverified", "enarx evidence show report.bin")
    verifying = parser.action(
        "verify",
        verify,
        "verify evidence, and appraise it against a policy",
        "enarx evidence verify report.bin --endorsements certs/ --policy snp.toml --report-data 00ff...",
        "enarx evidence verify quote.bin --endorsements collateral.json --authenticity-only --at 2026-04-01T00:00:00Z",
        "enarx evidence verify quote.pb --trust-anchor ak.pem --policy tpm.toml --report-data 00ff... --event-log log.bin",
    )
    for each in (showing, verifying):
        each.add_argument("file", metavar="FILE", help="the evidence, as received")
        each.add_argument(
            "--kind", metavar="KIND", default="", help="its kind (default: detected from its first bytes)"
        )
        add_json(each)
    _verify_options(verifying)
    trying = parser.action(
        "example",
        example,
        "verify evidence made for trying out, signed by a test and by no hardware",
        "enarx evidence example",
        "enarx evidence example tdx --write example/",
    )
    trying.add_argument("kind", nargs="?", metavar="KIND", default="snp", help="snp, tdx, sgx or nitro (default: snp)")
    trying.set_defaults(ear="")
    trying.add_argument("--write", metavar="DIR", default="", help="also write its files here, to look at")
    add_json(trying)


def _verify_options(parser: Parser) -> None:
    parser.add_argument(
        "--endorsements",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE_OR_DIR",
        help="DER, PEM, AMD certificate tables, JSON collateral",
    )
    parser.add_argument(
        "--trust-anchor",
        action="append",
        default=[],
        metavar="FILE",
        help="a public key or a root certificate to trust, for kinds without a public root; endorsements are never trusted",
    )
    parser.add_argument("--policy", metavar="FILE", default="", help="the appraisal policy (enarx policy init)")
    parser.add_argument(
        "--report-data", "--nonce", metavar="HEX", default="", help="the fresh data that the evidence must carry"
    )
    parser.add_argument(
        "--at", metavar="TIME", default="now", help="RFC 3339, or `evidence` for the document's own time (default: now)"
    )
    parser.add_argument(
        "--event-log",
        metavar="FILE",
        default="",
        help="the boot event log, which has to replay to the verified registers",
    )
    parser.add_argument("--authenticity-only", action="store_true", help="stop before appraisal: NOTHING IS APPRAISED")
    parser.add_argument("--ear", metavar="KEY", default="", help="print the result as a JWT signed with this key, PEM")


def show(options: argparse.Namespace) -> int:
    """Show what the evidence claims, authentic or not; 0."""
    from enarx.cli.evidence import show

    return show(options)


def verify(options: argparse.Namespace) -> int:
    """Verify and appraise; 0 trusted, 126 refused, 127 undecided."""
    from enarx.cli.evidence import verify

    return verify(options)


def example(options: argparse.Namespace) -> int:
    """Verify and appraise the example of a kind; 0."""
    from enarx.cli.example import run

    return run(options)
