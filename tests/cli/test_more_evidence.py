"""More real evidence through the command line: the verdict on each vector, and the messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.main import main
from tests.controls import Control, Ran

SOLANA = "@collateral/assembled/solana2025-00806f05.json"
MILAN = ("@roots/amd/milan-ark.der", "@roots/amd/milan-ask.der")
KEYS = "cca/rust-ccatoken-keys/"

VECTORS: list[tuple[str, tuple[str, ...], str, int]] = [
    ("snp/cmcp-azure-20260720/report.bin", ("snp/cmcp-azure-20260720/chain.pem",), "2026-08-01T00:00:00Z", 0),
    ("snp/virtee-sev-hex-milan/report.bin", ("snp/virtee-sev-hex-milan/vcek.der", *MILAN), "2025-06-01T00:00:00Z", 0),
    ("tdx/near-mpc-20260813/quote.bin", ("tdx/near-mpc-20260813/collateral.json",), "2026-09-01T00:00:00Z", 0),
    ("tdx/near-mpc-20260813/quote.bin", ("tdx/near-mpc-20260813/collateral.json",), "2026-09-11T23:57:12Z", 126),
    (
        "tdx/flashbots-gcp-20260630/quote.bin",
        ("tdx/flashbots-gcp-20260630/collateral.json",),
        "2026-06-30T12:00:00Z",
        0,
    ),
    (
        "tdx/flashbots-dcap-20251218/quote.bin",
        ("tdx/flashbots-dcap-20251218/collateral.json",),
        "2026-01-27T10:19:01Z",
        0,
    ),
    (
        "tdx/flashbots-azure-failed10/quote.bin",
        ("tdx/flashbots-azure-failed10/collateral.json",),
        "2026-02-18T11:29:16Z",
        126,
    ),
    ("tdx/teekit-azure/quote.bin", (SOLANA,), "2025-07-20T00:00:00Z", 0),
    ("tdx/teekit-gcp/quote.bin", (SOLANA,), "2025-07-20T00:00:00Z", 0),
    ("tdx/teekit-gcp-no-nonce/quote.bin", (SOLANA,), "2025-07-20T00:00:00Z", 0),
    (
        "az-tdx-vtpm/flashbots-azure-tdx-with-ak-intermediates-1780922561/evidence.json",
        ("az-tdx-vtpm/flashbots-azure-tdx-with-ak-intermediates-1780922561/collateral.json",),
        "2026-06-08T12:42:41Z",
        0,
    ),
    (
        "az-tdx-vtpm/flashbots-azure-tdx-1764662251380464271/evidence.json",
        ("az-tdx-vtpm/flashbots-azure-tdx-1764662251380464271/collateral.json",),
        "2026-02-18T14:00:00Z",
        0,
    ),
    ("az-snp-vtpm/attestation-rs-milan-v3/evidence.json", MILAN, "2026-08-01T00:00:00Z", 0),
    ("tpm/cmcp-azure-tl-20260727/attestation.pb", ("+tpm/cmcp-azure-tl-20260727/ak.pub",), "2026-08-01T00:00:00Z", 0),
    ("nitrotpm/live-2026-08-13/doc.cbor", (), "2026-08-13T18:00:00Z", 126),
    ("cca/rust-ccatoken-cca-token-02/token.cbor", (f"+{KEYS}ta-02-ok.jwk",), "2026-01-01T00:00:00Z", 0),
    ("cca/rust-ccatoken-cca-token-draft-ffm-00/token.cbor", (f"+{KEYS}ta-tfa.jwk",), "2026-01-01T00:00:00Z", 0),
    ("cca/rust-ccatoken-cca-token-01/token.cbor", (f"+{KEYS}ta.jwk",), "2026-01-01T00:00:00Z", 126),
    ("cca/rust-ccatoken-bug-33-repro/token.cbor", (f"+{KEYS}ta-tfa.jwk",), "2026-01-01T00:00:00Z", 126),
]
"""Vector, files beside it (@ in the first collection, + a trust anchor), time, and exit code for authenticity alone."""


FAILS = {
    "tdx/near-mpc-20260813/quote.bin@2026-09-11T23:57:12Z": ("validity",),
    "tdx/flashbots-azure-failed10/quote.bin@2026-02-18T11:29:16Z": ("tcb-level", "current-tcb-level"),
    "cca/rust-ccatoken-cca-token-01/token.cbor@2026-01-01T00:00:00Z": ("platform-signature",),
    "cca/rust-ccatoken-bug-33-repro/token.cbor@2026-01-01T00:00:00Z": ("realm-key-hash",),
}
"""What nobody made to be refused, with the checks that fail: all others hold."""


def judged(
    more: Path, capsys: pytest.CaptureFixture[str], vector: str, given: tuple[str, ...], at: str
) -> tuple[int, dict[str, Any], str]:
    command = ["evidence", "verify", str(more / vector), "--authenticity-only", "--json", "--at", at]
    for name in given:
        option = "--trust-anchor" if name.startswith("+") else "--endorsements"
        root = more.with_name("evidence") if name.startswith("@") else more
        command += [option, str(root / name.lstrip("@+"))]
    code = main(command)
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def verified(
    more: Path, capsys: pytest.CaptureFixture[str], vector: str, given: tuple[str, ...], at: str
) -> tuple[int, dict[str, Any], str]:
    def run() -> Ran:
        code, value, err = judged(more, capsys, vector, given, at)
        return Ran(code, json.dumps(value), err)

    if f"{vector}@{at}" not in FAILS:
        return judged(more, capsys, vector, given, at)
    ran = Control(run).failing(*FAILS[f"{vector}@{at}"]).but()
    return ran.code, json.loads(ran.out), ran.err


@pytest.mark.parametrize(("vector", "given", "at", "code"), VECTORS, ids=[f"{v[0]}@{v[2]}" for v in VECTORS])
def test_authenticity(
    more: Path, capsys: pytest.CaptureFixture[str], vector: str, given: tuple[str, ...], at: str, code: int
) -> None:
    found, value, err = verified(more, capsys, vector, given, at)
    assert found == code, err
    assert value["status"] == ("authentic" if code == 0 else "not authentic")


def test_a_list_that_ended_a_second_before(more: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vector, given, at, _ = VECTORS[3]
    _, value, _ = verified(more, capsys, vector, given, at)
    (check,) = [one for one in value["checks"] if one["outcome"] == "failed"]
    assert (check["id"], check["code"]) == ("validity", "expired")
    assert check["got"] == f"{at}: expired: the revocation list of Intel SGX PCK Platform CA ended 2026-09-11T23:57:11Z"


def test_a_machine_below_every_level(more: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vector, given, at, _ = VECTORS[6]
    _, value, err = verified(more, capsys, vector, given, at)
    failed = [one for one in value["checks"] if one["outcome"] == "failed"]
    assert {one["id"] for one in failed} <= {"tcb-level", "current-tcb-level"}
    for one in failed:
        assert one["got"].startswith("SGX ")
        assert ", TDX " in one["got"]
        assert "the nearest, " in one["wanted"]
        assert " at least " in one["wanted"]
    assert "the nearest, " in err
