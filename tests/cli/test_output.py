"""What reaches a terminal: text of hosts and of evidence, without anything that could drive it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enarx.cli import console, evidence
from enarx.cli.main import main
from enarx.errors import BackendError, UsageError
from enarx.verify.result import Forecast
from tests.endorsements.vendor import ARK
from tests.forge import azure, intel

CLEAR = "\x1b[2J\x1b[1;1Hattestation: trusted"
HOSTILE = f"{CLEAR}\r\n\x07\x9b\u202e\ud800\x00"
SHOWN = r"\x1b[2J\x1b[1;1Hattestation: trusted\r\n\x07\x9b\u202e\ud800\x00"


def vm_evidence(vm: str) -> bytes:
    return azure.evidence(
        report=azure.hcl(azure.runtime(**{"vm-configuration": {"secure-boot": True, "vmUniqueId": vm}}))
    )


def narrow(monkeypatch: pytest.MonkeyPatch, name: str, encoding: str) -> io.BytesIO:
    """A stream that cannot encode everything."""
    raw = io.BytesIO()
    monkeypatch.setattr(f"sys.{name}", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    return raw


@pytest.mark.parametrize(
    "how", [console.say, console.warn, lambda text: console.report(UsageError("x", text, hint=text))]
)
def test_nothing_drives_stderr(how: Any, capsys: pytest.CaptureFixture[str]) -> None:
    how(HOSTILE)
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.endswith(SHOWN) for line in lines)


def test_checks_of_an_error_drive_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console.report(BackendError("x", "y", checks=((HOSTILE, HOSTILE, HOSTILE),)))
    assert f"  {SHOWN}: {SHOWN}; remedy: {SHOWN}\n" in capsys.readouterr().err


def test_colours_are_ours_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "coloured", lambda: True)
    console.say("\n" + CLEAR, colour="31;1")
    assert capsys.readouterr().err == "\033[31;1m\n" + SHOWN[: SHOWN.index(r"\r")] + "\033[0m\n"


def test_columns_fit_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    console.table([[HOSTILE, "end"], ["x", "end"]], [CLEAR, "b"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip("bend").rstrip() for line in lines] == [SHOWN[: SHOWN.index(r"\r")], SHOWN, "x"]
    assert {len(line) for line in lines[1:]} == {len(SHOWN) + 5}


@pytest.mark.parametrize(("encoding", "shown"), [("cp1252", r"\u6f22 é"), ("ascii", r"\u6f22 \xe9"), ("utf-8", "漢 é")])
def test_a_stream_that_can_not_encode_it(monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str) -> None:
    out, err = (narrow(monkeypatch, name, encoding) for name in ("stdout", "stderr"))
    console.table([["漢 é"]], ["a"])
    console.show("漢 é")
    console.say("漢 é")
    assert out.getvalue().decode(encoding).splitlines() == ["a", shown, shown]
    assert err.getvalue().decode(encoding) == f"{shown}\n"


def test_json_escapes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = (narrow(monkeypatch, name, "ascii") for name in ("stdout", "stderr"))
    console.show_json({HOSTILE: HOSTILE})
    assert json.loads(out.getvalue()) == {HOSTILE: HOSTILE}
    assert b"\x1b" not in out.getvalue()
    out.truncate(out.seek(0))
    console.report(UsageError("x", HOSTILE, hint=HOSTILE), as_json=True)
    assert json.loads(out.getvalue())["error"]["message"] == HOSTILE


@pytest.mark.no_verdict(reason="how a name is shown, whatever the verdict")
def test_evidence_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = (narrow(monkeypatch, name, "cp1252") for name in ("stdout", "stderr"))
    (tmp_path / "evidence.json").write_bytes(vm_evidence("漢字"))
    for more in ([], ["--json"]):
        assert main(["evidence", "show", str(tmp_path / "evidence.json"), *more]) == 0
    main(["evidence", "verify", str(tmp_path / "evidence.json"), "--authenticity-only", "--json"])
    assert out.getvalue().replace(b"\n", b"").decode("cp1252").isprintable()
    assert out.getvalue().count(rb"\u6f22\u5b57") == 2


def test_evidence_that_would_drive_a_terminal_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evidence.json").write_bytes(vm_evidence(HOSTILE))
    assert main(["evidence", "show", str(tmp_path / "evidence.json")]) == 126
    said = capsys.readouterr()
    assert said.out == ""
    assert "\x1b" not in said.err


@pytest.mark.kinds("tdx")
@pytest.mark.no_verdict(reason="how a name is shown, whatever the verdict")
def test_a_name_in_a_certificate_drives_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaf = intel.certificate(CLEAR, intel.PLATFORM, extension=intel.machine())
    (tmp_path / "quote").write_bytes(intel.quote(chain=(leaf, intel.platform(), intel.root())))
    (tmp_path / "leaf.der").write_bytes(leaf)
    assert main(["evidence", "verify", str(tmp_path / "quote"), "--authenticity-only"]) == 126
    assert main(["endorsements", "bundle", str(tmp_path / "leaf.der"), "-o", str(tmp_path / "bundle")]) == 0
    assert main(["endorsements", "show", str(tmp_path / "bundle")]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert r"\x1b[2J" in said.out
    assert r"\x1b[2J" in said.err


def test_what_a_forecast_says_drives_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    found: Any = SimpleNamespace(checks=(), forecast=(Forecast(id="x", until=None, reason=HOSTILE),))
    evidence._table(found)
    assert capsys.readouterr().out.endswith(f"\nforecast: x holds until no date known: {SHOWN}\n")


def test_a_certificate_with_a_malformed_name_is_no_fault_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.der").write_bytes(ARK.replace(b"\x0c\x09ARK-Genoa", b"\x07\x09ARK-Genoa"))
    assert main(["endorsements", "show", str(tmp_path / "a.der")]) == 0
    assert "malformed" in capsys.readouterr().out
