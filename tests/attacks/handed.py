"""Evidence with the endorsements that its sender supplies, through the command that a relying party runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from enarx.cli.main import main
from enarx.verify import Roots
from enarx.verify.certificates import pin
from enarx.verify.kinds import detect
from tests.controls import Control
from tests.forge import amd, arm, intel, snp, tpm

AT = "2026-05-28T20:26:40Z"
"""The time at which the forge's certificates are valid."""


ARK, ASK, VCEK, CRL = amd.ark(), amd.ask(), amd.vcek(), amd.crl()
CHAIN = {"vcek": VCEK, "ask": ASK, "ark": ARK}
"""A forged Genoa report, made once because RSA-PSS signatures differ each time."""


class Said(NamedTuple):
    """The exit code and output of a command."""

    exit: int
    value: dict[str, Any]
    err: str

    @property
    def status(self) -> str:
        return str(self.value["status"])

    @property
    def outcomes(self) -> dict[str, str]:
        return {check["id"]: check["outcome"] for check in self.value["checks"]}

    def check(self, id: str) -> dict[str, str]:
        (found,) = [check for check in self.value["checks"] if check["id"] == id]
        return found


Handed = tuple[bytes, tuple[str, ...], dict[str, bytes]]
"""Evidence, options, and endorsements by name."""


class Party:
    """A relying party: it has roots of its own for AMD and Intel, which are the forge's, and no more."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys
        pins = {"amd": (pin(ARK),), "intel": (pin(intel.root()),)}
        monkeypatch.setattr("enarx.cli.evidence.Roots", lambda **named: Roots(**pins, **named))

    def verify(self, evidence: bytes, *options: str, at: str = AT, policy: str = "", **files: bytes) -> Said:
        """`files` are endorsements, by name; `policy` is a whole one, else authenticity alone is asked for.

        The control is good evidence of the kind with good endorsements, at the same time and under the same policy; of what is
        good itself, another time is the change.
        """
        good, given = self._control(evidence), (evidence, options, files)
        if given == good or at != AT:
            return Control(self._verdict, given=given, at=AT, policy=policy).but(at=at)
        return Control(self._verdict, given=good, at=at, policy=policy).but(given=given)

    def _control(self, evidence: bytes) -> Handed:
        match detect(evidence):
            case "snp":
                return snp.sign(snp.blank()), (), CHAIN | {"crl": CRL}
            case "sgx":
                return intel.quote(intel.SGX), (), {"collateral": intel.collateral(intel.SGX)}
            case "tdx":
                version = int.from_bytes(evidence[:2], "little")
                return intel.quote(version=version), (), {"collateral": intel.collateral()}
            case "tpm":
                return tpm.attestation(), (), {}
            case _:
                key = str(self.put("good.der", arm.spki("platform")))
                return arm.token(), ("--trust-anchor", key), {}

    def _verdict(self, given: Handed, at: str, policy: str) -> Said:
        evidence, options, files = given
        self.put("evidence", evidence)
        named = [str(self.put(name, data)) for name, data in files.items()]
        command = ["evidence", "verify", str(self.directory / "evidence"), "--json", "--at", at, *options]
        if policy:
            self.put("policy.toml", policy.encode())
            command += ["--policy", str(self.directory / "policy.toml"), "--report-data", "03" * 64]
        else:
            command.append("--authenticity-only")
        found = main([*command, "--endorsements", *named] if named else command)
        out, err = self._capsys.readouterr()
        return Said(found, json.loads(out), err)

    def put(self, name: str, data: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(data)
        return path
