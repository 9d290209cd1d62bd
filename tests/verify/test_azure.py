"""Azure's evidence: each check fails by itself; what binds the virtual TPM to the hardware holds."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, VerificationError
from enarx.formats.evidence.azure import Evidence
from enarx.verify import Roots
from enarx.verify.azure import CHECKS, examine_az_snp, verify_az_snp
from enarx.verify.examination import Examination
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED, Unknown
from tests.forge import amd, tpm

ARK, ASK, VCEK, CRL = amd.ark(), amd.ask(), amd.vcek(), amd.crl()
ROOTS = Roots(amd=(hashlib.sha256(ARK).digest(),))
BOUND = hashlib.sha256(tpm.runtime()).digest().ljust(64, b"\0")


def examined(evidence: bytes, *given: bytes, now: int = amd.NOW, roots: Roots = ROOTS) -> Examination:
    return examine_az_snp(evidence, endorsements=given or (ARK, ASK, VCEK, CRL), roots=roots, now=now)


def on(report: bytes, *given: bytes) -> Examination:
    return examined(tpm.azure(tpm.hcl(tpm.runtime(), report)), *given)


def signed(**changes: Any) -> bytes:
    return amd.sign(amd.blank(report_data=BOUND, **changes))


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


ONLY: dict[str, Callable[[], Examination]] = {
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
"""Of each check evidence that fails it, and nothing else but what rests on it."""


def test_good_evidence_is_authentic() -> None:
    found = examined(tpm.azure())
    assert set(outcomes(found).values()) == {PASSED}
    claims: Any = found.verified().claims
    assert (claims.kind, claims.report_data, claims.vm_id) == ("az-snp-vtpm", tpm.FRESH, "VM")
    assert (claims.secure_boot, claims.measurement, claims.pcrs[0]) == (True, b"\1" * 48, "0:" + "00" * 32)


@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = outcomes(ONLY[id]())
    assert found[id] == (NOT_CHECKED if id == "snp-issuers" else FAILED)
    assert {outcome for name, outcome in found.items() if name != id} <= {PASSED, NOT_REACHED}


def test_the_table_is_complete() -> None:
    assert tuple(ONLY) == CHECKS


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
        tpm.azure(tpm.hcl(tpm.runtime(), hashed=2)),
        tpm.azure(tpm.hcl(tpm.runtime(), tail=b"x")),
        tpm.azure(tpm.hcl(tpm.runtime(keys=[]))),
        tpm.azure(tpm.hcl(tpm.runtime(keys=7))),
        tpm.azure(tpm.hcl(b"7")),
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
    given = (ARK, ASK, VCEK, CRL)
    assert verify_az_snp(data, endorsements=given, roots=ROOTS, now=amd.NOW).claims.kind == "az-snp-vtpm"
    with pytest.raises(VerificationError):
        verify_az_snp(data, endorsements=given, roots=ROOTS, now=0)


@given(st.binary(max_size=400))
def test_whatever_the_bytes(data: bytes) -> None:
    with pytest.raises(ParseError):
        examined(data)
