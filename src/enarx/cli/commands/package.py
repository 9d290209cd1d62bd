"""`enarx package`: what a package contains, without delivering it."""

from __future__ import annotations

import argparse
import json

from enarx.cli import console
from enarx.cli.options import Parser, add_json, add_workload


def declare(parser: Parser) -> None:
    """Declare the options of `enarx package digest` and `enarx package show`."""
    add_workload(
        digesting := parser.action(
            "digest", digest, "print a package's digest", "enarx package digest --salt salt.hex hello.wasm"
        )
    )
    add_workload(showing := parser.action("show", show, "print a package's manifest", "enarx package show hello.wasm"))
    for each in (digesting, showing):
        add_json(each)


def digest(options: argparse.Namespace) -> int:
    """Print the package digest, which evidence binds; only the same --salt gives the same digest again. 0."""
    from enarx.cli import workload

    built, _ = workload.from_options(options, secrets=False).build()
    value = built.manifest.digest.hex()
    print(json.dumps({"digest": value}) if options.json else value)
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the manifest: all that a host sees of the package. 0."""
    from enarx.cli import parties, workload

    built, _ = workload.from_options(options, secrets=False).build()
    manifest = built.manifest
    console.show_json(
        {
            "digest": manifest.digest.hex(),
            "owners": [owner.hex() for owner in manifest.owners],
            "wasm": manifest.wasm.hex(),
            "config": manifest.config.public(),
            "commitments": {
                "args": manifest.args.hex(),
                "env": manifest.env.hex(),
                "dirs": [commitment.hex() for commitment in manifest.dirs],
            },
            "providers": [parties.provider_as_json(provider) for provider in manifest.providers],
            "recipients": [parties.recipient_as_json(recipient) for recipient in manifest.recipients],
            "size": built.size,
        }
    )
    return 0
