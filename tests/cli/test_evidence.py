"""Real evidence through the command line: each vector's verdict, and what a policy to begin with makes of it."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.main import main
from enarx.record import names
from enarx.verify.kinds import HARDWARE
from enarx.verify.policy_file import policy_type
from tests.controls import Control, Ran, command

REAL = [import_module(f"tests.verify.kinds.{kind.replace('-', '_')}.real").REAL for kind in HARDWARE]
VECTORS = [vector for real in REAL for vector in real.real]
NEGATIVES = {name: made for real in REAL for name, made in real.negatives.items()}
KIND = HARDWARE[0]
"""Where any kind will do."""

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
    found = {str(path.relative_to(evidence_dir)) for kind in HARDWARE for path in evidence_dir.glob(f"{kind}/neg-*")}
    assert found == {name for name in NEGATIVES if "/neg-" in name}


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
    assert main(["policy", "init", "--kind", KIND, str(tmp_path / "policy.toml")]) == 0
    verify = ["evidence", "verify", str(tmp_path / "report"), "--kind", KIND, "--policy", str(tmp_path / "policy.toml")]
    assert main(verify) == 125
    assert "--report-data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--at", "yesterday"], "RFC 3339"),
        (["--at", "evidence"], "states no time"),
        (["--kind", "enigma"], "not a kind of evidence"),
        (["--endorsements", "missing"], "No such file"),
        (["--policy", "x"], "appraises nothing"),
    ],
)
def test_usage(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report").write_bytes(b"\2" + bytes(1183))
    kind = [] if "--kind" in arguments else ["--kind", KIND]
    assert main(["evidence", "verify", "report", *kind, "--authenticity-only", *arguments]) == 125
    assert said in capsys.readouterr().err
