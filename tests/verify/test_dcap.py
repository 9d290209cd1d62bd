"""Intel quotes, on real ones: each check fails by itself where the vendor's signatures let it be made to; no bit can be changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, VerificationError
from enarx.formats.evidence.dcap import Quote, SgxReport, TdReport
from enarx.verify import Roots
from enarx.verify.dcap import CHECKS, ERRORS, _failed, examine_sgx, examine_tdx, verify_sgx, verify_tdx
from enarx.verify.examination import Examination
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED, Unknown

EVIDENCE = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "evidence"
TDX, TDX_TIME = "tdx/dcap-qvl", 1_751_328_000
COLLATERAL = "collateral/assembled/own-tdx_dcap-qvl.json"
QE_REPORT = 48 + 584 + 4 + 128 + 6
"""Where the quoting enclave's report starts in a quote of version 4."""


def quote(vector: str = TDX) -> bytes:
    return (EVIDENCE / vector / "quote.bin").read_bytes()


def collateral(name: str = COLLATERAL, **changes: Callable[[str], str]) -> bytes:
    value = json.loads((EVIDENCE / name).read_bytes())
    return json.dumps({k: changes[k](v) if k in changes else v for k, v in value.items()}).encode()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def other(text: str) -> str:
    return text[:20] + ("0" if text[20] != "0" else "1") + text[21:]


def examined(data: bytes, *given: bytes, now: int = TDX_TIME, roots: Roots | None = None) -> Examination:
    return examine_tdx(data, endorsements=given, roots=roots or Roots(), now=now)


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


ONLY: dict[str, Callable[[], Examination]] = {
    "collateral": lambda: examined(quote()),
    "root": lambda: examined(quote(), collateral(), roots=Roots(intel=(bytes(32),))),
    "quote-form": lambda: examined(flipped(quote(), 20), collateral()),
    "collateral-validity": lambda: examined(quote(), collateral(), now=TDX_TIME + 40_000_000),
    "tcb-info": lambda: examined(quote(), collateral(tcb_info_signature=other)),
    "qe-identity": lambda: examined(quote(), collateral(qe_identity_signature=other)),
    "pck-chain": lambda: examined(quote(), collateral(pck_crl=lambda crl: crl[:-2] + "00")),
    "qe-report": lambda: examined(flipped(quote(), QE_REPORT + 20), collateral()),
    "attestation-key": lambda: examined(flipped(quote(), 48 + 584 + 4 + 70), collateral()),
    "quote-signature": lambda: examined(flipped(quote(), 100), collateral()),
    "tcb-level": lambda: examined(
        quote("tdx/dcap-qvl-outdated"),
        collateral("collateral/assembled/own-tdx_dcap-qvl-outdated.json"),
        now=1_772_323_200,
    ),
    "attributes": lambda: examined(
        quote("tdx/trustee-4"), collateral("collateral/assembled/go2023-50806f.json"), now=1_688_169_600
    ),
}
"""Of each check evidence that fails it, and nothing else but what rests on it: all that needs no key of the vendor's."""

UNMADE = {"revocation"}
"""Checks that only a vendor could make fail."""


@pytest.mark.usefixtures("evidence_dir")
@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = outcomes(ONLY[id]())
    assert found[id] == (NOT_CHECKED if id == "collateral" else FAILED)
    assert {outcome for name, outcome in found.items() if name != id} <= {PASSED, NOT_REACHED}
    at = CHECKS.index(id)
    assert all(found[name] == PASSED for name in CHECKS[:at])
    assert all(found[name] == NOT_REACHED for name in CHECKS[max(at + 1, 2) :])


def test_the_table_is_complete() -> None:
    assert set(ONLY) | UNMADE == set(CHECKS)


@pytest.mark.parametrize(
    ("said", "id"),
    [
        ("Failed to verify certificate chain Caused by: CertRevoked", "revocation"),
        ("CrlExpired { time: 1 }", "collateral-validity"),
        ("No matching TCB level found", "tcb-level"),
        ("something that nobody has seen", "quote-form"),
        *((texts[0], id) for id, texts in ERRORS),
    ],
)
def test_what_the_library_says_is_one_check(said: str, id: str) -> None:
    assert _failed(said) == id


def test_sgx(evidence_dir: Path) -> None:
    data, given = quote("sgx/dcap-qvl"), collateral("collateral/assembled/own-sgx_dcap-qvl.json")
    found = verify_sgx(data, endorsements=(given,), roots=Roots(), now=TDX_TIME)
    claims: Any = found.claims
    assert claims.tcb_status == "ConfigurationAndSWHardeningNeeded"
    assert claims.advisories == ("INTEL-SA-00289", "INTEL-SA-00615")
    assert claims.measurement == SgxReport.from_bytes(Quote.from_bytes(data).body).mr_enclave
    assert found.forecast[0].until is not None
    with pytest.raises(ParseError):
        examine_tdx(data, endorsements=(given,), roots=Roots(), now=TDX_TIME)


def test_tdx(evidence_dir: Path) -> None:
    found = verify_tdx(quote(), endorsements=(collateral(),), roots=Roots(), now=TDX_TIME)
    claims: Any = found.claims
    assert (claims.tcb_status, claims.advisories, claims.sept_ve_disable) == ("UpToDate", (), True)
    assert (claims.fmspc.hex(), claims.tcb_date, claims.revoked) == ("b0c06f000000", 1_710_288_000, False)
    assert isinstance(claims.mr_service_td, Unknown)
    assert claims.chip_id.hex().startswith("0782847460")
    with pytest.raises(VerificationError):
        verify_tdx(quote(), endorsements=(collateral(),), roots=Roots(), now=0)


def test_version_5_has_a_service_domain(evidence_dir: Path) -> None:
    data = quote("tdx/go-tdx-guest-v5")
    report = TdReport.from_bytes(Quote.from_bytes(data).body)
    assert report.mr_service_td == bytes(48)
    given = (EVIDENCE / "collateral/assembled/lunal2026-90c06f.json").read_bytes()
    claims: Any = verify_tdx(data, endorsements=(given,), roots=Roots(), now=1_775_001_600).claims
    assert (claims.version, claims.mr_service_td) == (5, bytes(48))


def test_of_several_collaterals_the_one_that_fits(evidence_dir: Path) -> None:
    all_of_them = tuple(
        path.read_bytes() for path in sorted((evidence_dir / "collateral" / "assembled").glob("*.json"))
    )
    assert examined(quote(), *all_of_them, b"0\x82").status == "authentic"


def test_json_that_is_no_collateral(evidence_dir: Path) -> None:
    for data in (b"{}", b"{", b'{"tcb_info": "\xff"}'):
        with pytest.raises(ParseError):
            examined(quote(), data)


def test_unknown_before_it_is_authentic(evidence_dir: Path) -> None:
    said: Any = examined(quote()).said
    assert isinstance(said.tcb_status, Unknown)
    assert isinstance(said.revoked, Unknown)


def test_no_bit_can_be_changed(evidence_dir: Path) -> None:
    data, given = quote(), collateral()
    end = 48 + 584 + 4 + int.from_bytes(data[632:636], "little")
    for bit in range(0, end * 8, 331):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = examined(bytes(changed), given)
        except ParseError:
            continue
        if found.status == "authentic":  # white space around the PEM, and what of the header dcap-qvl certifies nowhere
            assert bytes(Quote.from_bytes(bytes(changed)).signed) == Quote.from_bytes(data).signed


@given(st.binary(max_size=2000))
def test_whatever_the_bytes(data: bytes) -> None:
    for examine in (examine_sgx, examine_tdx):
        try:
            found = examine(data, endorsements=(), roots=Roots(), now=0)
        except ParseError:
            continue
        assert found.status == "undecided"
