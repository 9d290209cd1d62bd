"""Example evidence, so that a verdict can be seen before there is a machine: `enarx evidence example`.

The files beside this module are data that `tests/forge/examples.py` writes: for each kind the evidence, its endorsements, a
policy, and `expected.json` with the fresh data, the time to appraise at, and the SHA-256 of the root certificate. No vendor
has signed any of it. The root is trusted by this command alone: every other command refuses the same files.
"""

from __future__ import annotations

import argparse
import json
import os

from enarx.cli import console
from enarx.cli.evidence import finish
from enarx.errors import UsageError
from enarx.formats.endorsements import read
from enarx.record import record
from enarx.verify import Roots, attestation_result
from enarx.verify.kinds import find
from enarx.verify.policy_file import read_policy

KINDS = ("snp", "tdx", "sgx", "nitro")
EVIDENCE, ENDORSEMENTS, POLICY, EXPECTED = "evidence.bin", "endorsements.json", "policy.toml", "expected.json"
WARNING = "EXAMPLE: a test signed this evidence, no hardware did. It says nothing about any machine"


@record()
class Example:
    """Example evidence: the content of its files by name, and what `expected.json` states.

    report_data  the fresh data that the evidence carries
    at           the time to appraise at, in unix seconds
    root         SHA-256 of the root certificate
    """

    kind: str
    files: dict[str, bytes]
    report_data: bytes
    at: int
    root: bytes


def load(kind: str) -> Example:
    """The example of this kind. UsageError if there is none."""
    if kind not in KINDS:
        raise UsageError("kind", f"there is no example of kind {kind[:40]!r}", hint=f"one of {', '.join(KINDS)}")
    directory = os.path.join(os.path.dirname(__file__), kind)
    files = {}
    for name in (EVIDENCE, ENDORSEMENTS, POLICY, EXPECTED):
        path = os.path.join(directory, name)
        if os.path.isfile(path):  # Nitro evidence needs no endorsements
            with open(path, "rb") as file:
                files[name] = file.read()
    expected = json.loads(files[EXPECTED])
    return Example(
        kind=kind,
        files=files,
        report_data=bytes.fromhex(expected["report_data"]),
        at=expected["at"],
        root=bytes.fromhex(expected["root_sha256"]),
    )


def run(options: argparse.Namespace) -> int:
    """Verify and appraise the example, and with --write save its files; 0 if trusted, as it always is."""
    example = load(options.kind)
    console.warn(WARNING)
    if options.write:
        write(example, options.write)
    given = example.files.get(ENDORSEMENTS, b"")
    result = attestation_result(
        example.kind,
        example.files[EVIDENCE],
        read(given).endorsements if given else (),
        policy=read_policy(example.files[POLICY].decode(), POLICY),
        roots=Roots(**{find(example.kind).roots[0].name: (example.root,)}),
        report_data=example.report_data,
        now=example.at,
    )
    code = finish(options, result, [])
    if options.write:
        console.say(f"next: enarx evidence show {os.path.join(options.write, EVIDENCE)}")
        console.say(f"next: {command(example, options.write)}")
        console.say("  which refuses: for that command only the vendor's root is trusted")
    return code


def write(example: Example, directory: str) -> None:
    """Write the files of the example into a directory, made if it is missing. UsageError; no file is overwritten."""
    try:
        os.makedirs(directory, exist_ok=True)
        for name, data in example.files.items():
            with open(os.path.join(directory, name), "xb") as file:
                file.write(data)
    except OSError as e:
        hint = "name a new directory" if isinstance(e, FileExistsError) else ""
        raise UsageError("write", f"{e.filename}: {e.strerror}", hint=hint) from e


def command(example: Example, directory: str) -> str:
    """The command that verifies the written files under the vendor's root."""
    endorsements = f" --endorsements {os.path.join(directory, ENDORSEMENTS)}" if ENDORSEMENTS in example.files else ""
    return (
        f"enarx evidence verify {os.path.join(directory, EVIDENCE)}{endorsements}"
        f" --policy {os.path.join(directory, POLICY)} --report-data {example.report_data.hex()}"
        f" --at {console.utc(example.at)}"
    )
