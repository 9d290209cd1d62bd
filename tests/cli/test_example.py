"""The example evidence in the package: what the forge makes, trusted by its own command and by no other."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from enarx.cli import example
from enarx.cli.example import ENDORSEMENTS, EVIDENCE, EXPECTED, KINDS, POLICY
from enarx.cli.main import main
from enarx.formats.endorsements import read
from enarx.verify import Roots, examine
from enarx.verify.kinds import find
from tests.controls import Control, Ran, failed
from tests.forge import examples

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_is_trusted_and_says_loudly_that_it_is_an_example(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "example", kind, "--json"]) == 0
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert (value["status"], value["kind"]) == ("trusted", kind)
    assert {check["outcome"] for check in value["checks"]} == {"passed", "skipped"}
    assert err.startswith("warning: EXAMPLE: ")
    assert f"attestation: trusted ({kind})" in err


def test_the_kind_is_snp_unless_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "example"]) == 0
    assert "trusted (snp)" in capsys.readouterr().err


@kinds
def test_the_written_files_are_refused_under_the_vendors_root(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["evidence", "example", kind, "--write", str(tmp_path / "new")]) == 0
    err = capsys.readouterr().err
    show, verify = (line.removeprefix("next: enarx ") for line in err.splitlines() if line.startswith("next: "))
    assert show == f"evidence show {tmp_path / 'new' / EVIDENCE}"

    def verified(roots: dict[str, tuple[bytes, ...]]) -> Ran:
        monkeypatch.setattr("enarx.cli.evidence.user_roots", lambda kind, anchors: roots)
        code = main([*shlex.split(verify), "--json"])
        return Ran(code, *capsys.readouterr())

    good = Control(verified, roots={find(kind).roots[0].name: (example.load(kind).root,)})
    ran = good.but(roots={})
    assert (ran.code, failed(ran)) == (126, {"root"})


def test_no_file_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / POLICY).write_text("mine")
    assert main(["evidence", "example", "--write", str(tmp_path)]) == 125
    assert f"{tmp_path / POLICY}: File exists" in capsys.readouterr().err
    assert (tmp_path / POLICY).read_text() == "mine"


@pytest.mark.parametrize("place", ["/dev/null/x", "/proc/nothing"])
def test_a_place_that_cannot_be_written_is_named(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "example", "--write", place]) == 125
    assert f"error: {place}" in capsys.readouterr().err


def test_a_kind_without_an_example_names_those_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "example", "../snp"]) == 125
    err = capsys.readouterr().err
    assert "'../snp'" in err
    assert "snp, tdx, sgx, nitro" in err


def stated(kind: str, files: dict[str, bytes]) -> dict[str, object]:
    """All that the files of an example state, without keys and signatures."""
    expected = json.loads(files[EXPECTED])
    roots = Roots(**{find(kind).roots[0].name: (bytes.fromhex(expected["root_sha256"]),)})
    given = read(files[ENDORSEMENTS]).endorsements if ENDORSEMENTS in files else ()
    claims = examine(kind, files[EVIDENCE], given, roots=roots, now=expected["at"]).verified().claims
    items = json.loads(files[ENDORSEMENTS])["items"] if ENDORSEMENTS in files else []
    return {
        "claims": claims,
        "policy": files[POLICY],
        "endorsements": [(item["what"], item["until"]) for item in items],
        "expected": {name: value for name, value in expected.items() if name != "root_sha256"},
    }


@kinds
def test_the_files_are_what_the_forge_makes(kind: str) -> None:
    """`python -m tests.forge.examples` writes them anew."""
    committed, made = example.load(kind).files, examples.files(kind)
    assert committed.keys() == made.keys()
    assert stated(kind, committed) == stated(kind, made)


@kinds
def test_another_example_would_differ(kind: str) -> None:
    """The control of the comparison."""
    files = dict(example.load(kind).files)
    files[POLICY] += b"# another\n"
    assert stated(kind, files) != stated(kind, examples.files(kind))


@kinds
def test_its_root_is_none_of_the_vendors(kind: str) -> None:
    assert example.load(kind).root not in {pin for roots in find(kind).roots for pin in roots.public}
