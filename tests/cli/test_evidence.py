"""Real evidence through the command line: each vector's verdict, and what a policy to begin with makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.main import main
from enarx.record import names
from enarx.verify import Roots
from enarx.verify.kinds.tdx.examine import examine as examine_tdx
from enarx.verify.policy_file import policy_type
from tests.controls import Control, Ran, command

MILAN, GENOA, TURIN = "roots/amd/milan-a?k.der", "roots/amd/genoa-a?k.der", "roots/amd/turin-a?k.der"
SOLANA = "collateral/assembled/solana2025-00806f05.json"
LUNAL = "collateral/assembled/lunal2026-90c06f.json"
AUTOMATA = "collateral/assembled/automata0825-00606a.json"

VECTORS = [
    ("snp/go-sev-guest-milan", ["vcek.der", MILAN], "2023-06-01", "debug"),
    ("snp/virtee-sev-milan", ["vcek.der", MILAN], "2024-06-01", "reported-tcb"),
    ("snp/trustee-milan", ["vcek.der", MILAN], "2024-06-01", "reported-tcb"),
    ("snp/scitt-caci-20260302", ["vcek.der", GENOA], "2026-06-01", ""),
    ("snp/oak-genoa_oc", ["vcek.der", GENOA], "2026-06-01", ""),
    ("snp/oak-turin_oc", ["vcek.der", TURIN], "2026-06-01", ""),
    ("snp/trustee-vlek", ["vlek.der", "roots/amd/milan-a*.der"], "2025-06-01", "vmpl"),
    ("tdx/dcap-qvl", ["collateral/assembled/own-tdx_dcap-qvl.json"], "2025-07-01", ""),
    ("tdx/go-tdx-guest-v5", [LUNAL], "2026-04-01", ""),
    ("tdx/automata-v4", [SOLANA], "2025-07-20", "tcb-status"),
    ("tdx/trustee-4", ["collateral/assembled/go2023-50806f.json"], "2023-07-01", "debug"),
    ("sgx/dcap-qvl", ["collateral/assembled/own-sgx_dcap-qvl.json"], "2025-07-01", "tcb-status"),
    ("sgx/automata-v3", [AUTOMATA], "2025-08-20", ""),
    ("sgx/trustee-occlum", [AUTOMATA], "2025-08-20", "debug"),
    ("nitro/anjuna-sample-prod-doc", [], "evidence", None),
    ("nitro/anjuna-sample-prod-doc-with-publickey", [], "evidence", None),
    ("nitro/brave-initiator", [], "evidence", None),
    ("nitro/brave-responder", [], "evidence", None),
    ("nitro/anjuna-sample-attestation-doc-full", [], "evidence", "debug"),
    ("cca/trustee", ["cpak-pub.json"], "2026-01-01", ""),
    ("cca/veraison-tf-rmm", ["cca_platform.pem"], "2026-01-01", ""),
    ("az-snp-vtpm/trustee/evidence-v0.json", [MILAN], "2025-06-01", None),
    ("az-snp-vtpm/trustee/evidence-v1.json", [MILAN], "2025-06-01", None),
    ("az-snp-vtpm/trustee/evidence-v2.json", [MILAN], "2025-06-01", None),
    ("az-snp-vtpm/trustee/evidence-genoa.json", [GENOA], "2025-06-01", None),
    ("az-tdx-vtpm/trustee/evidence-v0.json", [SOLANA], "2025-07-20", "tcb-status"),
    ("az-tdx-vtpm/trustee/evidence-v1.json", [SOLANA], "2025-07-20", "tcb-status"),
    ("tpm/go-tpm-tools/gce-cos-85-nonce9009.pb", [], "2026-01-01", None),
    ("tpm/go-tpm-tools/gce-cos-85-no-nonce.pb", [], "2026-01-01", None),
]
"""Vector, endorsements, time at which it is authentic, and the check that a policy to begin with refuses it by: "" is none but the
measurement and a revocation list that is not there; None is not asked."""

OAK = ("snp/oak-genoa_oc", ["snp/oak-genoa_oc/vcek.der", GENOA], "2026-06-01T00:00:00Z")
LUNAL_V5 = ("tdx/go-tdx-guest-v5", [LUNAL], "2026-04-01T00:00:00Z")
VERACRUZ = ("../evidence-more/nitro/veracruz", [], "2022-11-09T22:52:00Z")

NEGATIVES: dict[str, tuple[tuple[str, list[str], str], dict[str, Any]]] = {
    **{
        f"snp/neg-{name}": (OAK, {"evidence": f"snp/neg-{name}"})
        for name in (
            "bitflip-report_data",
            "bitflip-sig",
            "sig-r-upper-garbage",
            "sig-r-zero",
            "truncated",
            "version-99",
        )
    },
    "snp/neg-wrong-vcek": (OAK, {"endorsements": ["snp/neg-wrong-vcek/vcek.der", GENOA]}),
    "snp/neg-milan-vcek-genoa-report": (
        OAK,
        {"endorsements": ["snp/neg-milan-vcek-genoa-report/vcek.der", MILAN, GENOA]},
    ),
    "snp/trustee-milan-invalid-new": (
        ("snp/trustee-milan", ["snp/trustee-milan/vcek.der", MILAN], "2025-06-01T00:00:00Z"),
        {"endorsements": ["snp/trustee-milan-invalid-new/vcek.der", MILAN]},
    ),
    "snp/trustee-vlek": (
        ("snp/trustee-vlek", ["snp/trustee-vlek/vlek.der", "roots/amd/milan-a*.der"], "2025-06-01T00:00:00Z"),
        {"at": "2026-06-01T00:00:00Z"},
    ),
    **{f"tdx/neg-{name}": (LUNAL_V5, {"evidence": f"tdx/neg-{name}"}) for name in ("bitflip", "truncated", "trailing")},
    **{
        f"nitro/neg-{name}": (VERACRUZ, {"evidence": f"nitro/neg-{name}"})
        for name in ("pcr0-flipped", "trailing", "truncated")
    },
}
"""Of each negative what it was made from: evidence, endorsements and time at which that is authentic, and the one thing that is
another."""

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


@pytest.mark.parametrize(("vector", "given", "at", "refused"), VECTORS, ids=lambda v: str(v)[:40])
def test_authenticity(
    evidence_dir: Path, capsys: pytest.CaptureFixture[str], vector: str, given: list[str], at: str, refused: Any
) -> None:
    found = main([*arguments(evidence_dir, vector, given, at), "--authenticity-only", "--json"])
    out, err = capsys.readouterr()
    assert found == 0, err
    assert "NOT APPRAISED" in err
    value = json.loads(out)
    assert value["status"] == "authentic"
    assert {"status", "kind", "claims", "checks", "advisories", "expires"} <= set(value)


def authenticity(
    capsys: pytest.CaptureFixture[str], directory: Path, evidence: str, endorsements: list[str], at: str
) -> Control[Ran]:
    return command(
        capsys,
        verify=["evidence", "verify", "--authenticity-only", "--json"],
        evidence=[str(evidence_file(directory, evidence))],
        endorsements=endorsed(directory, endorsements),
        at=["--at", at],
    )


def endorsed(directory: Path, names: list[str]) -> list[str]:
    files = [str(path) for name in names for path in sorted(directory.glob(name))]
    return ["--endorsements", *files] if files else []


@pytest.mark.parametrize("name", NEGATIVES)
def test_negatives_are_refused_for_what_was_changed(
    evidence_dir: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (evidence, endorsements, at), changes = NEGATIVES[name]
    good = authenticity(capsys, evidence_dir, evidence, endorsements, at)
    match changes:
        case {"evidence": other}:
            ran = good.but(evidence=[str(evidence_file(evidence_dir, other))])
        case {"endorsements": other}:
            ran = good.but(endorsements=endorsed(evidence_dir, other))
        case {"at": other}:
            ran = good.but(at=["--at", other])
    assert (ran.code, json.loads(ran.out)["status"]) == (126, "not authentic")


def test_every_negative_is_tried(evidence_dir: Path) -> None:
    found = {str(path.relative_to(evidence_dir)) for path in evidence_dir.glob("*/neg-*")}
    assert found == {name for name in NEGATIVES if "/neg-" in name}


def test_a_machine_below_every_level(evidence_dir: Path) -> None:
    """Nobody made this, so it has no counterpart that is accepted: it fails this check alone."""
    quote = evidence_file(evidence_dir, "tdx/dcap-qvl-outdated").read_bytes()
    given = (evidence_dir / "collateral/assembled/own-tdx_dcap-qvl-outdated.json").read_bytes()
    real = Control(examine_tdx, evidence=quote, endorsements=(given,), roots=Roots(), now=1_772_323_200)
    assert real.failing("tcb-level", "current-tcb-level").but().status == "not authentic"


@pytest.mark.parametrize(
    ("vector", "given", "at", "refused"), [v for v in VECTORS if v[3] is not None], ids=lambda v: str(v)[:40]
)
def test_under_a_policy_to_begin_with(
    evidence_dir: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    vector: str,
    given: list[str],
    at: str,
    refused: str,
) -> None:
    verify = arguments(evidence_dir, vector, given, at)
    main([*verify, "--authenticity-only", "--json"])
    said = json.loads(capsys.readouterr().out)
    policy, open = tmp_path / "policy.toml", tmp_path / "open.toml"
    kind, claims = said["kind"], said["claims"]
    assert main(["policy", "init", "--kind", kind, "--measurement", claims["measurement"], str(policy)]) == 0
    fields = [name for name in names(policy_type(kind)) if name != "kind"]
    open.write_text(f'kind = "{kind}"\n' + "".join(f'{name} = {{ unchecked = "any" }}\n' for name in fields))
    fresh = claims["report_data"] if len(claims["report_data"]) >= 32 else "00" * 16
    accepting = command(capsys, verify=[*verify, "--json", "--report-data", fresh], policy=["--policy", str(open)])
    if fresh != claims["report_data"]:
        accepting = accepting.failing("report-data")
    ran = accepting.but(policy=["--policy", str(policy)])
    failed = {check["id"] for check in json.loads(ran.out)["checks"] if check["outcome"] == "failed"}
    if refused:
        assert refused in failed
        assert ran.code == 126
    else:
        assert not failed
        assert ran.code in (0, 127)


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
