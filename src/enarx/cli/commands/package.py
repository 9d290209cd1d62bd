"""`enarx package`: what a package is, without delivering it."""

from __future__ import annotations

import argparse
import json

from enarx.cli import console, workload


def digest(options: argparse.Namespace) -> int:
    """The package digest, which evidence binds. It is the same again only with the same --salt."""
    built, _ = workload.build(options)
    value = built.manifest.digest.hex()
    print(json.dumps({"digest": value}) if options.json else value)
    return 0


def show(options: argparse.Namespace) -> int:
    """The manifest, as anyone on the way sees it."""
    built, _ = workload.build(options)
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
            "size": built.size,
        }
    )
    return 0
