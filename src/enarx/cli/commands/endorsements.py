"""`enarx endorsements`: fetch, bundle and show the vendors' endorsements of their hardware."""

from __future__ import annotations

import argparse

from enarx.cli.options import Parser, add_json


def declare(parser: Parser) -> None:
    """Declare the options of `enarx endorsements fetch`, `bundle` and `show`."""
    fetching = parser.action(
        "fetch",
        fetch,
        "fetch everything that verifying a piece of evidence needs, into one file",
        "enarx endorsements fetch report.bin -o bundle.json",
        "enarx endorsements fetch quote.bin -o bundle.json --pcs-url https://pccs.example.com:8081",
    )
    fetching.add_argument("file", metavar="EVIDENCE", help="the evidence, as received")
    fetching.add_argument(
        "--kind", metavar="KIND", default="", help="its kind (default: detected from its first bytes)"
    )
    fetching.add_argument("--kds-url", metavar="URL", default="", help="AMD's service, or a cache (or ENARX_KDS_URL)")
    fetching.add_argument("--pcs-url", metavar="URL", default="", help="Intel's service, or a PCCS (or ENARX_PCS_URL)")
    bundling = parser.action(
        "bundle",
        bundle,
        "merge the endorsements from several files into one",
        "enarx endorsements bundle vcek.der ask.der ark.der crl.der -o bundle.json",
    )
    showing = parser.action(
        "show", show, "show what endorsements contain, unverified", "enarx endorsements show bundle.json"
    )
    add_json(showing)
    for each in (bundling, showing):
        each.add_argument("files", nargs="+", metavar="FILE_OR_DIR", help="DER, PEM, tables, collateral, bundles")
    for each in (fetching, bundling):
        each.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write the bundle")


def fetch(options: argparse.Namespace) -> int:
    """Fetch from the vendor what verifying one piece of evidence needs, into a bundle; 0."""
    from enarx.cli.endorsements import fetch

    return fetch(options)


def bundle(options: argparse.Namespace) -> int:
    """Merge endorsements from files into one bundle; 0."""
    from enarx.cli.endorsements import bundle

    return bundle(options)


def show(options: argparse.Namespace) -> int:
    """Show what each endorsement is and when it expires; nothing is verified; 0."""
    from enarx.cli.endorsements import show

    return show(options)
