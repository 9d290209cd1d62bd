"""Azure's evidence: each check fails by itself; what binds the virtual TPM to the hardware holds."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, VerificationError
from enarx.formats.evidence.families.azure import Evidence
from enarx.verify import Roots, verify
from enarx.verify.examination import Examination
from enarx.verify.kinds.az_snp_vtpm import examine as az_snp
from enarx.verify.kinds.az_tdx_vtpm import examine as az_tdx
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED
from enarx.verify.values import Unknown
from tests.controls import Control
from tests.forge import amd, intel, tpm
from tests.verify import test_dcap

ARK, ASK, VCEK, CRL = amd.ark(), amd.ask(), amd.vcek(), amd.crl()
ROOTS = Roots(amd=(hashlib.sha256(ARK).digest(),))
BOUND = hashlib.sha256(tpm.runtime()).digest().ljust(64, b"\0")


GOOD = Control(az_snp.examine, evidence=tpm.azure(), endorsements=(ARK, ASK, VCEK, CRL), roots=ROOTS, now=amd.NOW)


def examined(evidence: bytes, *given: bytes, now: int = amd.NOW, roots: Roots = ROOTS) -> Examination:
    return GOOD.but(evidence=evidence, endorsements=given or (ARK, ASK, VCEK, CRL), roots=roots, now=now)


def on(report: bytes, *given: bytes) -> Examination:
    return examined(tpm.azure(tpm.hcl(tpm.runtime(), report)), *given)


def signed(**changes: Any) -> bytes:
    return amd.sign(amd.blank(report_data=BOUND, **changes))


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


ON_SNP: dict[str, Callable[[], Examination]] = {
    "snp-signing-certificate": lambda: on(signed(flags=7 << 2)),
    "snp-product": lambda: on(signed(cpuid=amd.CPUID["milan"])),
    "snp-certificate-tcb": lambda: on(signed(reported_tcb=bytes(8))),
    "snp-certificate-chip": lambda: on(signed(chip_id=b"\1" * 64)),
    "snp-signature-form": lambda: on(signed(signature_algorithm=2)),
    "snp-signature": lambda: on(amd.sign(amd.blank(report_data=BOUND), amd.ec_key("another chip"))),
    "snp-issuers": lambda: on(signed(), VCEK, ASK, CRL),
    "snp-root": lambda: examined(tpm.azure(), roots=Roots()),
    "snp-chain": lambda: examined(tpm.azure(), ARK, ASK, amd.vcek(by=amd.rsa_key("nobody")), CRL),
    "snp-validity": lambda: examined(tpm.azure(), ARK, ASK, amd.vcek(end=amd.START), CRL),
    "snp-revocation": lambda: examined(tpm.azure(), ARK, ASK, VCEK, amd.crl([7])),
    "runtime-data": lambda: on(amd.sign(amd.blank())),
    "pcr-selection": lambda: examined(tpm.azure(message=tpm.quote(select=tpm.selection(range(8))))),
    "pcr-digest": lambda: examined(tpm.azure(message=tpm.quote(digest=bytes(32)))),
    "quote-signature": lambda: examined(tpm.azure(signed=tpm.rsa_signature(tpm.quote(), tpm.rsa_key("another")))),
}


def td_evidence(quote: bytes, message: bytes | None = None, **changes: Any) -> bytes:
    report = tpm.hcl(tpm.runtime(), bytes(1184), kind=4)
    return tpm.azure(report, message, td_quote=base64.urlsafe_b64encode(quote).decode(), **changes)


def td_bound(**changes: Any) -> bytes:
    return intel.quote(body=intel.domain(report_data=(520, BOUND), td_attributes=(120, bytes(8)), **changes))


@lru_cache
def td_good() -> Control[Examination]:
    """With the quote that `td_failed` makes where nothing is to fail."""
    evidence = td_evidence(intel.quote(body=intel.domain(report_data=(520, BOUND))))
    given = (intel.collateral(),)
    return Control(az_tdx.examine, evidence=evidence, endorsements=given, roots=test_dcap.roots(), now=amd.NOW)


def td_quoted(quote: bytes, given: tuple[bytes, ...], message: bytes | None = None, **changes: Any) -> Examination:
    return td_good().but(evidence=td_evidence(quote, message, **changes), endorsements=given)


def td_failed(id: str) -> Callable[[], Examination]:
    """The evidence that fails this check of a quote, in an Azure machine."""

    def examination() -> Examination:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(intel, "domain", lambda size=584, **f: domain(size, **{"report_data": (520, BOUND), **f}))
            seen: list[tuple[bytes, tuple[bytes, ...], Roots]] = []
            patch.setattr(
                test_dcap,
                "examined",
                lambda data, *given, trusted=None, **_: seen.append((data, given, trusted or test_dcap.roots())),
            )
            test_dcap.ONLY[id]()
        ((quote, given, roots),) = seen
        evidence, control = td_evidence(quote), td_good()
        if evidence != control.inputs["evidence"]:
            control = control.with_(endorsements=given)
        return control.but(evidence=evidence, endorsements=given, roots=roots)

    domain = intel.domain
    return examination


ON_TDX: dict[str, Callable[[], Examination]] = {
    **{f"td-{id}": td_failed(id) for id in test_dcap.ONLY},
    "runtime-data": lambda: td_quoted(intel.quote(), (intel.collateral(),)),
    "pcr-selection": lambda: td_quoted(td_bound(), (intel.collateral(),), tpm.quote(select=tpm.selection(range(8)))),
    "pcr-digest": lambda: td_quoted(td_bound(), (intel.collateral(),), tpm.quote(digest=bytes(32))),
    "quote-signature": lambda: td_quoted(
        td_bound(), (intel.collateral(),), signed=tpm.rsa_signature(tpm.quote(), tpm.rsa_key("another"))
    ),
}
ONLY = ON_SNP | ON_TDX
"""Of each check evidence that fails it, and nothing else but what rests on it."""


def test_good_evidence_is_authentic() -> None:
    found = examined(tpm.azure())
    assert set(outcomes(found).values()) == {PASSED}
    claims: Any = found.verified().claims
    assert (claims.kind, claims.report_data, claims.vm_id) == ("az-snp-vtpm", tpm.FRESH, "VM")
    assert (claims.secure_boot, claims.measurement, claims.pcrs[0]) == (True, b"\1" * 48, "0:" + "00" * 32)


@pytest.mark.parametrize("id", ON_SNP)
def test_each_check_fails_alone_on_snp(id: str) -> None:
    found = outcomes(ON_SNP[id]())
    assert found[id] == (NOT_CHECKED if id == "snp-issuers" else FAILED)
    assert {outcome for name, outcome in found.items() if name != id} <= {PASSED, NOT_REACHED}


@pytest.mark.parametrize("id", ON_TDX)
def test_each_check_fails_alone_on_tdx(id: str) -> None:
    found = outcomes(ON_TDX[id]())
    assert found[id] == (NOT_CHECKED if id == "td-collateral" else FAILED)
    assert {outcome for name, outcome in found.items() if name != id} <= {PASSED, NOT_REACHED}


def test_the_tables_are_complete() -> None:
    assert tuple(ON_SNP) == az_snp.CHECKS
    assert tuple(ON_TDX) == az_tdx.CHECKS


def test_good_evidence_on_tdx_is_authentic() -> None:
    found = td_quoted(td_bound(), (intel.collateral(),))
    assert set(outcomes(found).values()) == {PASSED}
    claims: Any = found.verified().claims
    assert (claims.kind, claims.report_data, claims.vm_id) == ("az-tdx-vtpm", tpm.FRESH, "VM")
    assert (claims.sept_ve_disable, claims.tcb_status, claims.pcrs[0]) == (False, "UpToDate", "0:" + "00" * 32)


def test_each_kind_takes_its_own() -> None:
    with pytest.raises(ParseError):
        az_tdx.examine(tpm.azure(), endorsements=(), roots=ROOTS, now=amd.NOW)
    with pytest.raises(ParseError):
        verify("az-tdx-vtpm", tpm.azure(td_quote="AAAA"), endorsements=(), roots=ROOTS, now=amd.NOW)


def test_the_older_form_and_a_vcek_in_it() -> None:
    value = json.loads(tpm.azure())
    quote = value["tpm_quote"]
    older = {
        "report": list(tpm.hcl(tpm.runtime())),
        "quote": {
            "message": list(bytes.fromhex(quote["message"])),
            "signature": list(bytes.fromhex(quote["signature"])),
            "pcrs": [list(bytes.fromhex(pcr)) for pcr in quote["pcrs"]],
        },
        "vcek": f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(VCEK).decode()}-----END CERTIFICATE-----\n",
    }
    assert examined(json.dumps(older).encode(), ARK, ASK, CRL).status == "authentic"


def test_what_the_paravisor_does_not_say_is_unknown() -> None:
    for vm in ({}, 7):
        data = tpm.runtime(**{"vm-configuration": vm})
        claims: Any = examined(tpm.azure(tpm.hcl(data))).verified().claims
        assert isinstance(claims.vm_id, Unknown)
        assert isinstance(claims.secure_boot, Unknown)


def test_a_key_that_is_none_signs_nothing() -> None:
    data = tpm.runtime(keys=[{"kid": "HCLAkPub", "kty": "RSA", "e": "AQAB", "n": "AQ"}])
    assert outcomes(examined(tpm.azure(tpm.hcl(data))))["quote-signature"] == FAILED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"{" * 100_000,
        bytes((1 << 20) + 1),
        b'{"a": 1, "a": 2}',
        tpm.azure(hcl_report=7),
        tpm.azure(hcl_report="*"),
        tpm.azure(hcl_report=[256]),
        tpm.azure(b"HCLA"),
        tpm.azure(tpm.hcl(tpm.runtime(), kind=4)),
        tpm.azure(tpm.hcl(tpm.runtime(), kind=3)),
        tpm.azure(td_quote="AAAA"),
        tpm.azure(tpm.hcl(tpm.runtime(), hashed=2)),
        tpm.azure(tpm.hcl(tpm.runtime(), tail=b"x")),
        tpm.azure(tpm.hcl(tpm.runtime(keys=[]))),
        tpm.azure(tpm.hcl(tpm.runtime(keys=7))),
        tpm.azure(tpm.hcl(b"7")),
        tpm.azure(tpm.hcl(tpm.runtime(**{"vm-configuration": {"vmUniqueId": "\x1b[2J"}}))),
        tpm.azure(tpm.hcl(tpm.runtime(**{"vm-configuration": {"vmUniqueId": 7}}))),
        tpm.azure(tpm_quote=7),
        tpm.azure(tpm_quote={"pcrs": []}),
        tpm.azure(vcek="*"),
    ],
)
def test_what_is_no_evidence(data: bytes) -> None:
    with pytest.raises(ParseError):
        Evidence.from_bytes(data)


def test_bytes_are_kept_and_verify_raises() -> None:
    data = tpm.azure()
    found = Evidence.from_bytes(data)
    assert (found.to_bytes(), found.signed) == (data, tpm.quote())
    control = Control(partial(verify, "az-snp-vtpm"), **GOOD.inputs)
    assert control.but().claims.kind == "az-snp-vtpm"
    with pytest.raises(VerificationError):
        control.but(now=0)


@given(st.binary(max_size=400))
def test_whatever_the_bytes(data: bytes) -> None:
    with pytest.raises(ParseError):
        examined(data)


def test_the_end_of_a_value_can_not_be_moved() -> None:
    moved = (tpm.PCRS[0] + tpm.PCRS[1][:1], tpm.PCRS[1][1:], *tpm.PCRS[2:])
    with pytest.raises(ParseError, match="24 registers of 32 bytes"):
        examined(tpm.azure(pcrs=moved))
