"""`enarx platform`: what this machine can do, and how to add what is missing."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from enarx.cli import console
from enarx.cli.options import Parser, add_json


def declare(parser: Parser) -> None:
    """Declare the options of `enarx platform`."""
    parser.runs(show, "enarx platform --json")
    add_json(parser)


def show(options: argparse.Namespace) -> int:
    """Show the backends, the layers of the sandbox, and the measurement of this installation's Keep; 0."""
    value = gather()
    if options.json:
        console.show_json(value)
        return 0
    console.table(
        [[k["kind"], "yes" if k["available"] else "no", k["detail"], k["remedy"]] for k in value["backends"]],
        ["BACKEND", "HERE", "DETAIL", "REMEDY"],
    )
    print()
    console.table(
        [
            [layer["name"], "yes" if layer["on"] else "no", layer["detail"], layer["remedy"]]
            for layer in value["layers"]
        ],
        ["SANDBOX LAYER", "HERE", "DETAIL", "REMEDY"],
    )
    bound = value["bound"]
    if bound:
        print(f"\nmemory of a Keep is bounded by: {bound['by']} ({bound['detail']})")
        if bound["remedy"]:
            print(f"  to bound all its processes together: {bound['remedy']}")
    print(f"\nmeasurement of this installation's Keep: {value['measurement']}")
    return 0


def gather() -> dict[str, Any]:
    """The backends, layers, memory bound and measurement, as JSON values."""
    from enarx.api.acceptance import own_measurement
    from enarx.record import as_dict

    value: dict[str, Any] = {
        "measurement": own_measurement().hex(),
        "layers": [],
        "backends": [],
        "bound": {},
    }
    if sys.platform == "linux":
        import os

        from enarx.cli import sandbox_layers
        from enarx.host import backends, cgroups

        value["layers"] = [as_dict(layer) for layer in sandbox_layers.probe()]
        value["backends"] = backends.probe()
        place = cgroups.find("platform", (os.getpid(),))
        value["bound"] = {"by": place.by, "detail": place.detail, "remedy": place.remedy}
    return value
