"""Azure's evidence on SEV-SNP: each check fails by itself; what binds the virtual TPM to the hardware holds."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from enarx.errors import ParseError, VerificationError
from enarx.formats.evidence.families.azure import Evidence
from enarx.verify import Roots, verify
from enarx.verify.examination import Examination
from enarx.verify.kinds.az_snp_vtpm import examine as az_snp
from enarx.verify.replay import PCRS, registers
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED
from enarx.verify.values import Unknown
from tests.controls import Control
from tests.forge import amd, azure, snp, tpm

ARK, ASK, VCEK, CRL = amd.ark(), amd.ask(), amd.vcek(), amd.crl()
ROOTS = Roots(amd=(hashlib.sha256(ARK).digest(),))
BOUND = hashlib.sha256(azure.runtime()).digest().ljust(64, b"\0")


GOOD = Control(az_snp.examine, evidence=azure.evidence(), endorsements=(ARK, ASK, VCEK, CRL), roots=ROOTS, now=amd.NOW)


def examined(evidence: bytes, *given: bytes, now: int = amd.NOW, roots: Roots = ROOTS) -> Examination:
    return GOOD.but(evidence=evidence, endorsements=given or (ARK, ASK, VCEK, CRL), roots=roots, now=now)


def on(report: bytes, *given: bytes) -> Examination:
    return examined(azure.evidence(azure.hcl(azure.runtime(), report)), *given)


def signed(**changes: Any) -> bytes:
    return snp.sign(snp.blank(report_data=BOUND, **changes))


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


ONLY: dict[str, Callable[[], Examination]] = {
    "snp-signing-certificate": lambda: on(signed(flags=7 << 2)),
    "snp-product": lambda: on(signed(cpuid=snp.CPUID["milan"])),
    "snp-certificate-tcb": lambda: on(signed(reported_tcb=bytes(8))),
    "snp-certificate-chip": lambda: on(signed(chip_id=b"\1" * 64)),
    "snp-signature-form": lambda: on(signed(signature_algorithm=2)),
    "snp-signature": lambda: on(snp.sign(snp.blank(report_data=BOUND), amd.ec_key("another chip"))),
    "snp-issuers": lambda: on(signed(), VCEK, ASK, CRL),
    "snp-root": lambda: examined(azure.evidence(), roots=Roots()),
    "snp-chain": lambda: examined(azure.evidence(), ARK, ASK, amd.vcek(by=amd.rsa_key("nobody")), CRL),
    "snp-validity": lambda: examined(azure.evidence(), ARK, ASK, amd.vcek(end=amd.START), CRL),
    "snp-revocation": lambda: examined(azure.evidence(), ARK, ASK, VCEK, amd.crl([7])),
    "runtime-data": lambda: on(snp.sign(snp.blank())),
    "pcr-selection": lambda: examined(azure.evidence(message=tpm.quote(select=tpm.selection(range(8))))),
    "pcr-digest": lambda: examined(azure.evidence(message=tpm.quote(digest=bytes(32)))),
    "quote-signature": lambda: examined(azure.evidence(signed=tpm.rsa_signature(tpm.quote(), tpm.rsa_key("another")))),
}


def test_good_evidence_is_authentic() -> None:
    found = examined(azure.evidence())
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
    assert tuple(ONLY) == az_snp.CHECKS


def test_it_takes_no_other_hardware() -> None:
    with pytest.raises(ParseError):
        verify(
            "az-snp-vtpm",
            azure.evidence(azure.hcl(azure.runtime(), bytes(1184), kind=4), td_quote="AAAA"),
            (),
            roots=ROOTS,
            now=amd.NOW,
        )


def test_the_older_form_and_a_vcek_in_it() -> None:
    value = json.loads(azure.evidence())
    quote = value["tpm_quote"]
    older = {
        "report": list(azure.hcl(azure.runtime())),
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
        data = azure.runtime(**{"vm-configuration": vm})
        claims: Any = examined(azure.evidence(azure.hcl(data))).verified().claims
        assert isinstance(claims.vm_id, Unknown)
        assert isinstance(claims.secure_boot, Unknown)


def test_a_key_that_is_none_signs_nothing() -> None:
    data = azure.runtime(keys=[{"kid": "HCLAkPub", "kty": "RSA", "e": "AQAB", "n": "AQ"}])
    assert outcomes(examined(azure.evidence(azure.hcl(data))))["quote-signature"] == FAILED


def test_bytes_are_kept_and_verify_raises() -> None:
    data = azure.evidence()
    found = Evidence.from_bytes(data)
    assert (found.to_bytes(), found.signed) == (data, tpm.quote())
    control = Control(partial(verify, "az-snp-vtpm"), **GOOD.inputs)
    assert control.but().claims.kind == "az-snp-vtpm"
    with pytest.raises(VerificationError):
        control.but(now=0)


def test_the_end_of_a_value_can_not_be_moved() -> None:
    moved = (tpm.PCRS[0] + tpm.PCRS[1][:1], tpm.PCRS[1][1:], *tpm.PCRS[2:])
    with pytest.raises(ParseError, match="24 registers of 32 bytes"):
        examined(azure.evidence(pcrs=moved))


def test_event_logs_are_about_the_virtual_tpm() -> None:
    layout, bank, values = registers(GOOD.but().unverified_claims)
    assert (layout, bank, values) == (PCRS, "sha256", dict(enumerate(tpm.PCRS)))
