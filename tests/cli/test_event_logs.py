"""Event logs on the command line: shown, and compared with verified registers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from enarx.cli.event_logs import text
from enarx.cli.main import main
from enarx.formats.evidence.eventlog import ACTION, IPL, SEPARATOR, VARIABLE_BOOT, Event
from tests.controls import Ran, command
from tests.forge import eventlog as forge
from tests.forge import tpm
from tests.forge.eventlog import event, extended, header, pc, spec, td

GO = "eventlog/go-eventlog"
Captured = pytest.CaptureFixture[str]


def shown(tmp_path: Path, capsys: Captured, data: bytes, *more: str) -> tuple[str, str]:
    path = tmp_path / "log.bin"
    path.write_bytes(data)
    assert main(["evidence", "show", str(path), *more]) == 0
    return capsys.readouterr()


def test_a_pc(tmp_path: Path, capsys: Captured) -> None:
    out, err = shown(tmp_path, capsys, pc())
    assert "pcr7" in out
    assert "kernel_cmdline: /vmlinuz quiet" in out
    assert "replayed (sha256, not verified)" in out
    assert extended(pc(), "sha1")[0].hex() in out
    assert not err


def test_a_trust_domain_as_json(tmp_path: Path, capsys: Captured) -> None:
    value = json.loads(shown(tmp_path, capsys, td(padding=b"\xff" * 9), "--json")[0])
    assert (value["kind"], value["banks"], value["padding"], value["remarks"]) == ("eventlog", ["sha384"], 9, [])
    first = value["events"][0]
    assert (first["register"], first["type"], first["text"]) == ("rtmr2", "EV_EFI_VARIABLE_DRIVER_CONFIG", "SecureBoot")
    assert first["bound"] == {"sha384": "data"}
    registers = {name: entry["value"] for name, entry in value["registers"]["sha384"].items()}
    assert registers == {f"rtmr{i - 1}": value.hex() for i, value in sorted(extended(td(), "sha384").items())}
    assert value["registers"]["sha384"]["rtmr0"]["events"] == [1, 2, 5]


def test_what_makes_it_less_than_it_seems(tmp_path: Path, capsys: Captured) -> None:
    made = [*forge.events(), event(0, SEPARATOR, bytes(4)), event(77, ACTION, b"lost"), event(1, ACTION, b"a", b"b")]
    out, err = shown(tmp_path, capsys, pc(made))
    assert err.splitlines() == [
        "warning: pcr0: 2 separators: the end of the firmware's part is ambiguous",
        "warning: event 15: its digest is not that of its data",
        "warning: event 14: in a nonexistent register",
    ]
    value = json.loads(shown(tmp_path, capsys, pc([*made, forge.locality(3)]), "--json")[0])
    assert len(value["remarks"]) == 3
    assert value["events"][-1]["bound"] == {"sha1": "", "sha256": ""}
    assert value["events"][14]["register"] == "77"


def test_a_log_of_no_bank_that_is_known(tmp_path: Path, capsys: Captured) -> None:
    out, _ = shown(tmp_path, capsys, header(spec(((0x12, 32),))) + event(0, SEPARATOR, b"", digests={0x12: bytes(32)}))
    assert "EV_SEPARATOR" in out
    assert "replayed" not in out


def test_the_table_that_leads_to_a_log(tmp_path: Path, capsys: Captured) -> None:
    assert "262144" in shown(tmp_path, capsys, forge.table())[0]
    value = json.loads(shown(tmp_path, capsys, forge.table(type=9), "--json")[0])
    assert value == {
        "kind": "ccel",
        "cc_type": "9",
        "cc_subtype": 0,
        "revision": 1,
        "size": 262144,
        "start": 0xBEDBF000,
    }


def test_what_events_say() -> None:
    def said(type: int, data: bytes) -> str:
        return text(Event(register=0, type=type, digests=(), data=data))

    assert said(VARIABLE_BOOT, forge.variable("Boot\x1b[2J", b"")) == "Boot\\x1b[2J"
    assert said(VARIABLE_BOOT, b"no variable") == "no variable"
    assert said(IPL, b"one\ntwo \xc3\xa9\0") == "one\\ntwo é"
    assert said(IPL, b"\x1b[2J") == "1b5b324a"
    assert said(SEPARATOR, bytes(4)) == "00000000"
    assert said(SEPARATOR, b"") == ""


def test_real_ones(evidence_dir: Path, capsys: Captured) -> None:
    for path in sorted((evidence_dir / GO).iterdir()):
        for more in ([], ["--json"]):
            assert main(["evidence", "show", str(path), *more]) == 0
    assert "grub_cmd: defaultA=2" in capsys.readouterr().out


def test_what_is_no_log(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "log.bin"
    path.write_bytes(b"no log")
    for kind in ("eventlog", "ccel"):
        assert main(["evidence", "show", str(path), "--kind", kind]) == 126
    assert "error:" in capsys.readouterr().err


@pytest.fixture
def machine(tmp_path: Path, capsys: Captured) -> list[str]:
    """What verifies the evidence of a TPM whose registers hold what the forge's log makes of them, under a policy."""
    pcrs = dict(sorted(extended(pc()).items()))
    (tmp_path / "quote.pb").write_bytes(tpm.attestation(pcrs=pcrs))
    (tmp_path / "log.bin").write_bytes(pc())
    key = tpm.rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "ak.pem").write_bytes(key)
    verify = ["evidence", "verify", str(tmp_path / "quote.pb"), "--trust-anchor", str(tmp_path / "ak.pem"), "--json"]
    main([*verify, "--authenticity-only"])
    measurement = json.loads(capsys.readouterr().out)["claims"]["measurement"]
    policy = str(tmp_path / "tpm.toml")
    assert main(["policy", "init", "--kind", "tpm", "--measurement", measurement, policy]) == 0
    capsys.readouterr()
    return [*verify, "--policy", policy, "--report-data", tpm.FRESH.hex(), "--event-log", str(tmp_path / "log.bin")]


def verdict(ran: Ran) -> tuple[int, str, dict[str, Any]]:
    value = json.loads(ran.out)
    return ran.code, value["status"], {check["id"]: check["outcome"] for check in value["checks"]}


@pytest.mark.kinds("tpm")
def test_a_log_beside_a_quote(machine: list[str], tmp_path: Path, capsys: Captured) -> None:
    good = command(capsys, verify=machine[:-1], log=machine[-1:])
    code, status, checks = verdict(good.but())
    assert (code, status, checks["event-log"]) == (0, "trusted", "passed")
    assert main(machine[:-2]) == 0
    (tmp_path / "short.bin").write_bytes(pc(forge.events()[1:]))
    code, status, checks = verdict(good.but(log=[str(tmp_path / "short.bin")]))
    assert (code, status, checks.pop("event-log")) == (126, "refused", "failed")
    assert set(checks.values()) <= {"passed", "skipped"}
    (tmp_path / "empty.bin").write_bytes(b"")
    assert verdict(good.but(log=[str(tmp_path / "empty.bin")]))[:2] == (126, "refused")


@pytest.mark.kinds("tpm")
def test_a_log_that_is_about_no_register_quoted(machine: list[str], tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "other.pb").write_bytes(tpm.attestation(pcrs={16: bytes(32)}))
    only = ["--json", "--authenticity-only", *machine[-2:]]
    good = command(capsys, verify=machine[:2], quote=machine[2:3], anchor=machine[3:5], only=only)
    code, status, checks = verdict(good.but(quote=[str(tmp_path / "other.pb")]))
    assert (code, status, checks["event-log"]) == (127, "undecided", "not checked")


@pytest.mark.kinds("snp", "tpm")
def test_usage(machine: list[str], tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "report").write_bytes(b"\2" + bytes(1183))
    only = ["evidence", "verify", "--authenticity-only"]
    assert main([*only, str(tmp_path / "report"), "--event-log", str(tmp_path / "log.bin")]) == 125
    assert "no registers" in capsys.readouterr().err
    assert main([*only, str(tmp_path / "log.bin")]) == 125
    assert "not evidence" in capsys.readouterr().err
    assert main([*machine[:-1], str(tmp_path / "nowhere")]) == 125


@pytest.mark.kinds("tdx")
def test_real_evidence_with_anothers_log(evidence_dir: Path, capsys: Captured) -> None:
    log = str(evidence_dir / GO / "cos-113-intel-tdx.bin")
    verify = ["evidence", "verify", str(evidence_dir / "tdx/dcap-qvl/quote.bin"), "--at", "2025-07-01T00:00:00Z"]
    verify += ["--endorsements", str(evidence_dir / "collateral/assembled/own-tdx_dcap-qvl.json")]
    alone = command(capsys, verify=[*verify, "--authenticity-only", "--json"], log=[])
    code, status, checks = verdict(alone.but(log=["--event-log", log]))
    assert (code, status, checks["event-log"]) == (126, "refused", "failed")
