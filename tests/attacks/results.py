"""Signed results, as the command makes them, of real evidence under policies that a test writes."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from enarx.cli.main import main
from tests.controls import Control, Ran, command

Json = dict[str, Any]


class Vector(NamedTuple):
    """Real evidence, and a time at which it is valid."""

    evidence: str
    collateral: str
    at: str


UP_TO_DATE = Vector("tdx/go-tdx-guest-v5", "lunal2026-90c06f", "2026-04-01T00:00:00Z")
BEHIND = Vector("tdx/automata-v4", "solana2025-00806f05", "2025-07-20T00:00:00Z")
DEBUGGED = Vector("tdx/trustee-4", "go2023-50806f", "2023-07-01T00:00:00Z")


class Verifier:
    """A verifier of one vector that signs its results."""

    def __init__(self, directory: Path, tmp: Path, capsys: pytest.CaptureFixture[str], vector: Vector) -> None:
        self.tmp, self.capsys, self.at = tmp, capsys, vector.at
        key = ec.generate_private_key(ec.SECP256R1())
        (tmp / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.verify = ["evidence", "verify", str(directory / vector.evidence / "quote.bin")]
        self.verify += ["--endorsements", str(directory / f"collateral/assembled/{vector.collateral}.json")]
        assert main([*self.verify, "--at", vector.at, "--authenticity-only", "--json"]) == 0
        self.claims: Json = json.loads(capsys.readouterr().out)["claims"]
        assert main(["policy", "init", "--kind", "tdx", "--measurement", self.claims["measurement"]]) == 0
        self.beginning = capsys.readouterr().out

    def policy(self, **rules: str) -> str:
        """Write the starting policy to a file, with these rules replaced."""
        text = self.beginning
        for field, rule in rules.items():
            text, changed = re.subn(rf"(?m)^{field} = .*$", f"{field} = {rule}", text)
            assert changed == 1, field
        path = self.tmp / f"policy{len(list(self.tmp.iterdir()))}.toml"
        path.write_text(text)
        return str(path)

    def named(self, *fields: str) -> dict[str, str]:
        """Return rules that require exactly the claims in the evidence."""
        said = {field: self.claims[field] for field in fields}
        return {field: one if str(one).startswith("0x") else json.dumps(one) for field, one in said.items()}

    def command(self, policy: str, *options: str) -> Control[Ran]:
        """Return the verdict on evidence, endorsements and policy, at a time."""
        fresh = ["--report-data", self.claims["report_data"]]
        verify = [*self.verify, "--policy", policy, *options]
        return command(self.capsys, verify=verify, at=["--at", self.at], fresh=fresh)

    def result(self, policy: str) -> tuple[Json, Json]:
        """Return header and claims of the signed result, after checking that its verdict is trusted."""
        ran = self.command(policy, "--ear", str(self.tmp / "key.pem")).but()
        header, payload, _ = ran.out.strip().split(".")
        first, second = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload))
        return first, second

    def appraisal(self, policy: str) -> Json:
        """Return the result's claims about the trust domain."""
        found: Json = self.result(policy)[1]["submods"]["tdx"]
        return found


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def rfc3339(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
