"""Real evidence through the command line: each vector's verdict, and what a policy to begin with makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.main import main

MILAN, GENOA, TURIN = "roots/amd/milan-a?k.der", "roots/amd/genoa-a?k.der", "roots/amd/turin-a?k.der"
SOLANA = "collateral/assembled/solana2025-00806f05.json"
LUNAL = "collateral/assembled/lunal2026-90c06f.json"
AUTOMATA = "collateral/assembled/automata0825-00606a.json"

VECTORS = [
    ("snp/go-sev-guest-milan", ["vcek.der", MILAN], "2023-06-01", 0, "debug"),
    ("snp/virtee-sev-milan", ["vcek.der", MILAN], "2024-06-01", 0, "reported-tcb"),
    ("snp/trustee-milan", ["vcek.der", MILAN], "2024-06-01", 0, "reported-tcb"),
    ("snp/scitt-caci-20260302", ["vcek.der", GENOA], "2026-06-01", 0, ""),
    ("snp/oak-genoa_oc", ["vcek.der", GENOA], "2026-06-01", 0, ""),
    ("snp/oak-turin_oc", ["vcek.der", TURIN], "2026-06-01", 0, ""),
    ("snp/trustee-vlek", ["vlek.der", "roots/amd/milan-a*.der"], "2025-06-01", 0, "vmpl"),
    ("snp/trustee-vlek", ["vlek.der", "roots/amd/milan-a*.der"], "2026-06-01", 126, None),
    ("snp/trustee-milan-invalid-new", ["vcek.der", MILAN], "2025-06-01", 126, None),
    ("snp/neg-bitflip-report_data", ["vcek.der", GENOA], "2025-06-01", 126, None),
    ("snp/neg-bitflip-sig", ["vcek.der", GENOA], "2025-06-01", 126, None),
    ("snp/neg-milan-vcek-genoa-report", ["vcek.der", MILAN, GENOA], "2025-06-01", 126, None),
    ("snp/neg-sig-r-upper-garbage", ["vcek.der", GENOA], "2025-06-01", 126, None),
    ("snp/neg-sig-r-zero", ["vcek.der", GENOA], "2025-06-01", 126, None),
    ("snp/neg-truncated", ["vcek.der", GENOA], "2025-06-01", 126, None),
    ("snp/neg-version-99", ["vcek.der", GENOA], "2025-06-01", 126, None),
    ("snp/neg-wrong-vcek", ["vcek.der", GENOA], "2025-06-01", 126, None),
    ("tdx/dcap-qvl", ["collateral/assembled/own-tdx_dcap-qvl.json"], "2025-07-01", 0, ""),
    ("tdx/go-tdx-guest-v5", [LUNAL], "2026-04-01", 0, ""),
    ("tdx/automata-v4", [SOLANA], "2025-07-20", 0, "tcb-status"),
    ("tdx/trustee-4", ["collateral/assembled/go2023-50806f.json"], "2023-07-01", 0, "debug"),
    ("tdx/dcap-qvl-outdated", ["collateral/assembled/own-tdx_dcap-qvl-outdated.json"], "2026-03-01", 126, None),
    ("tdx/neg-bitflip", [LUNAL], "2026-04-01", 126, None),
    ("tdx/neg-truncated", [LUNAL], "2026-04-01", 126, None),
    ("tdx/neg-trailing", [LUNAL], "2026-04-01", 126, None),
    ("sgx/dcap-qvl", ["collateral/assembled/own-sgx_dcap-qvl.json"], "2025-07-01", 0, "tcb-status"),
    ("sgx/automata-v3", [AUTOMATA], "2025-08-20", 0, ""),
    ("sgx/trustee-occlum", [AUTOMATA], "2025-08-20", 0, "debug"),
    ("nitro/anjuna-sample-prod-doc", [], "evidence", 0, None),
    ("nitro/anjuna-sample-prod-doc-with-publickey", [], "evidence", 0, None),
    ("nitro/brave-initiator", [], "evidence", 0, None),
    ("nitro/brave-responder", [], "evidence", 0, None),
    ("nitro/anjuna-sample-attestation-doc-full", [], "evidence", 0, "debug"),
    ("nitro/neg-pcr0-flipped", [], "evidence", 126, None),
    ("nitro/neg-trailing", [], "evidence", 126, None),
    ("nitro/neg-truncated", [], "evidence", 126, None),
    ("cca/trustee", ["cpak-pub.json"], "2026-01-01", 0, ""),
    ("cca/veraison-tf-rmm", ["cca_platform.pem"], "2026-01-01", 0, ""),
    ("az-snp-vtpm/trustee/evidence-v0.json", [MILAN], "2025-06-01", 0, None),
    ("az-snp-vtpm/trustee/evidence-v1.json", [MILAN], "2025-06-01", 0, None),
    ("az-snp-vtpm/trustee/evidence-v2.json", [MILAN], "2025-06-01", 0, None),
    ("az-snp-vtpm/trustee/evidence-genoa.json", [GENOA], "2025-06-01", 0, None),
    ("az-tdx-vtpm/trustee/evidence-v0.json", [SOLANA], "2025-07-20", 0, "tcb-status"),
    ("az-tdx-vtpm/trustee/evidence-v1.json", [SOLANA], "2025-07-20", 0, "tcb-status"),
    ("tpm/go-tpm-tools/gce-cos-85-nonce9009.pb", [], "2026-01-01", 0, None),
    ("tpm/go-tpm-tools/gce-cos-85-no-nonce.pb", [], "2026-01-01", 0, None),
]
"""Vector, endorsements, time, exit code of its authenticity, and the check that a policy to begin with refuses it by: ""
is none but the measurement and a revocation list that is not there; None is not asked."""

NAMES = ("report.bin", "quote.bin", "doc.cbor", "token.cbor")


def evidence_file(directory: Path, vector: str) -> Path:
    path = directory / vector
    return path if path.is_file() else next(path / name for name in NAMES if (path / name).exists())


def arguments(directory: Path, vector: str, given: list[str], at: str) -> list[str]:
    found = ["evidence", "verify", str(evidence_file(directory, vector))]
    for name in given:
        near = directory / vector / name
        option = "--trust-anchor" if vector.startswith("cca/") else "--endorsements"
        found += [option, *map(str, [near] if near.exists() else sorted(directory.glob(name)))]
    return [*found, "--at", at if at == "evidence" else f"{at}T00:00:00Z"]


@pytest.mark.parametrize(("vector", "given", "at", "code", "refused"), VECTORS, ids=lambda v: str(v)[:40])
def test_authenticity(
    evidence_dir: Path,
    capsys: pytest.CaptureFixture[str],
    vector: str,
    given: list[str],
    at: str,
    code: int,
    refused: Any,
) -> None:
    found = main([*arguments(evidence_dir, vector, given, at), "--authenticity-only", "--json"])
    out, err = capsys.readouterr()
    assert found == code, err
    assert "NOT APPRAISED" in err
    value = json.loads(out)
    assert value["status"] == ("authentic" if code == 0 else "not authentic")
    assert {"status", "kind", "claims", "checks", "advisories", "expires"} <= set(value)


@pytest.mark.parametrize(
    ("vector", "given", "at", "code", "refused"), [v for v in VECTORS if v[4] is not None], ids=lambda v: str(v)[:40]
)
def test_under_a_policy_to_begin_with(
    evidence_dir: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    vector: str,
    given: list[str],
    at: str,
    code: int,
    refused: str,
) -> None:
    verify = arguments(evidence_dir, vector, given, at)
    main([*verify, "--authenticity-only", "--json"])
    said = json.loads(capsys.readouterr().out)
    policy = tmp_path / "policy.toml"
    claims = said["claims"]
    assert main(["policy", "init", "--kind", said["kind"], "--measurement", claims["measurement"], str(policy)]) == 0
    fresh = claims["report_data"] if len(claims["report_data"]) >= 32 else "00" * 16
    found = main([*verify, "--policy", str(policy), "--report-data", fresh, "--json"])
    value = json.loads(capsys.readouterr().out)
    failed = {check["id"] for check in value["checks"] if check["outcome"] == "failed"}
    if refused:
        assert refused in failed
        assert found == 126
    else:
        assert not failed
        assert found in (0, 127)


def test_a_verdict_needs_a_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "report").write_bytes(bytes(1184))
    assert main(["evidence", "verify", str(tmp_path / "report")]) == 125
    assert "--authenticity-only" in capsys.readouterr().err


def test_a_verdict_needs_fresh_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "report").write_bytes(bytes(1184))
    assert main(["policy", "init", "--kind", "snp", str(tmp_path / "snp.toml")]) == 0
    verify = ["evidence", "verify", str(tmp_path / "report"), "--kind", "snp", "--policy", str(tmp_path / "snp.toml")]
    assert main(verify) == 125
    assert "--report-data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--at", "yesterday"], "RFC 3339"),
        (["--at", ""], "RFC 3339"),
        (["--at", "evidence"], "carries no time"),
        (["--kind", "enigma"], "no kind of evidence"),
        (["--endorsements", "/nonexistent"], "No such file"),
        (["--policy", "x"], "appraises nothing"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "report").write_bytes(b"\2" + bytes(1183))
    assert main(["evidence", "verify", str(tmp_path / "report"), "--authenticity-only", *arguments]) == 125
    assert said in capsys.readouterr().err
