"""Writes the example evidence of `enarx evidence example`: the good evidence of each kind's rules, and a policy that accepts it.

    python -m tests.forge.examples

The forge makes its keys anew in each process, so all files change. `tests/cli/test_example.py` compares what they state.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from enarx.cli.commands.policy import with_measurement
from enarx.cli.example import ENDORSEMENTS, EVIDENCE, EXPECTED, KINDS, POLICY
from enarx.endorsements.describe import described
from enarx.formats.bundle import Bundle
from enarx.verify import examine
from enarx.verify.kinds import find
from enarx.verify.policy_file import template
from tests.verify.vectors import NOW

DIRECTORY = Path(__file__).resolve().parents[2] / "src" / "enarx" / "cli" / "example"


def files(kind: str) -> dict[str, bytes]:
    """The content of the example's files by name."""
    given = import_module(f"tests.verify.kinds.{kind}.rules").VECTORS.forge()
    claims = examine(kind, given.evidence, given.endorsements, roots=given.roots, now=NOW).unverified_claims
    (root,) = given.roots.pins(find(kind).roots[0])
    expected = {"at": NOW, "report_data": claims.report_data.hex(), "root_sha256": root.hex()}
    written = {
        EVIDENCE: given.evidence,
        POLICY: with_measurement(template(kind), [claims.measurement.hex()]).encode(),
        EXPECTED: json.dumps(expected, indent=1).encode() + b"\n",
    }
    if given.endorsements:
        written[ENDORSEMENTS] = Bundle(
            items=tuple(described(data, "the forge") for data in given.endorsements)
        ).to_bytes()
    return written


def main() -> int:
    """Write the files of every kind."""
    for kind in KINDS:
        (DIRECTORY / kind).mkdir(exist_ok=True)
        for name, data in files(kind).items():
            (DIRECTORY / kind / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
