"""`enarx endorsements`: from the vendor into a bundle, and the bundle is all that verifying needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from enarx.cli import endorsements as command
from enarx.cli.main import main
from enarx.formats.endorsements import read
from enarx.verify import Roots
from enarx.verify.certificates import pin
from tests.endorsements.vendor import ARK, ASK, CRL, VCEK, Vendor, plays_amd, plays_intel, running
from tests.forge import intel, snp


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with running() as found:
        plays_amd(found)
        plays_intel(found)
        monkeypatch.setenv("ENARX_KDS_URL", found.url)
        yield found


def test_fetched_and_verified(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.bin").write_bytes(snp.sign(snp.blank()))
    bundle = str(tmp_path / "bundle.json")
    for _ in range(2):
        assert main(["endorsements", "fetch", str(tmp_path / "report.bin"), "-o", bundle]) == 0
    assert len(vendor.asked) == 3
    assert "4 endorsements in" in capsys.readouterr().err
    monkeypatch.setattr("enarx.cli.evidence.Roots", lambda **_: Roots(amd=(pin(ARK),)))
    verify = ["evidence", "verify", str(tmp_path / "report.bin"), "--endorsements", bundle, "--json"]
    assert main([*verify, "--authenticity-only", "--at", "2026-06-01T00:00:00Z"]) == 0
    outcomes = {check["id"]: check["outcome"] for check in json.loads(capsys.readouterr().out)["checks"]}
    assert set(outcomes.values()) == {"passed"}


@pytest.mark.kinds("tdx")
def test_from_intel_by_option(tmp_path: Path, vendor: Vendor) -> None:
    (tmp_path / "quote.bin").write_bytes(intel.quote())
    bundle = tmp_path / "bundle.json"
    fetch = ["endorsements", "fetch", str(tmp_path / "quote.bin"), "-o", str(bundle), "--pcs-url", vendor.url]
    assert main(fetch) == 0
    assert bundle.stat().st_mode & 0o777 == 0o600
    assert b"tcb_info" in read(bundle.read_bytes()).endorsements[0]


def test_bundled_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data in (("a.der", VCEK), ("b.der", CRL)):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "c.pem").write_text(intel.pem(ASK, ARK))
    bundle = str(tmp_path / "out" / "bundle.json")
    assert main(["endorsements", "bundle", str(tmp_path), "-o", bundle]) == 0
    assert main(["endorsements", "show", bundle]) == 0
    out = capsys.readouterr().out
    assert "VCEK genoa" in out
    assert "revocation list of CN=" in out
    assert main(["endorsements", "show", bundle, "--json"]) == 0
    assert [bytes.fromhex(item["data"]) for item in json.loads(capsys.readouterr().out)] == [VCEK, CRL, ASK, ARK]


@pytest.mark.parametrize(
    "arguments",
    [
        ["fetch", "report", "-o", "bundle", "--kind", "other"],
        ["fetch", "report", "-o", "bundle", "--kds-url", "http://elsewhere.example"],
        ["fetch", "report", "-o", "bundle", "--kds-url", "http://["],
        ["fetch", "report", "-o", "bundle", "--kds-url", "https://a..b"],
        ["fetch", "missing", "-o", "bundle"],
        ["fetch", "report", "-o", "/proc/no/such"],
        ["bundle", "report", "-o", "bundle"],
        ["bundle", "empty", "-o", "bundle"],
    ],
)
def test_usage(tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report").write_bytes(snp.sign(snp.blank()))
    (tmp_path / "empty").mkdir()
    assert main(["endorsements", *arguments]) == 125


def test_nothing_to_be_had_is_undecided(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answers.clear()
    (tmp_path / "report.bin").write_bytes(snp.sign(snp.blank()))
    assert main(["endorsements", "fetch", str(tmp_path / "report.bin"), "-o", str(tmp_path / "bundle")]) == 127
    assert not (tmp_path / "bundle").exists()


@pytest.mark.kinds("tdx")
def test_the_vendors_own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without anything said, AMD's and Intel's, and the root's list where Intel keeps that."""
    seen: list[str] = []
    monkeypatch.delenv("ENARX_KDS_URL", raising=False)
    monkeypatch.setattr(command, "Web", lambda url, say: seen.append(url))
    monkeypatch.setattr(command, "gather", lambda kind, data, kds, pcs: [kds(), pcs()])
    monkeypatch.setattr(command, "_write", lambda path, found: None)
    (tmp_path / "quote.bin").write_bytes(intel.quote())
    assert main(["endorsements", "fetch", str(tmp_path / "quote.bin"), "-o", "x"]) == 0
    assert seen == [
        "https://kdsintf.amd.com",
        "https://certificates.trustedservices.intel.com",
        "https://api.trustedservices.intel.com",
    ]
