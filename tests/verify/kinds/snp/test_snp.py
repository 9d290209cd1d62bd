"""SNP reports: each check fails by itself; nothing that is signed can be changed; real ones are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, UsageError, VerificationError
from enarx.formats.evidence.snp import REPORT_SIZE, SIGNED_SIZE
from enarx.verify import Roots, unappraised, verify
from enarx.verify.examination import Examination
from enarx.verify.kinds.snp.claims import Parts, Tcb
from enarx.verify.kinds.snp.endorse import request
from enarx.verify.kinds.snp.examine import CHECKS, examine
from enarx.verify.kinds.snp.roots import AMD
from enarx.verify.policy import Bits
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED
from enarx.verify.values import Unknown
from tests.controls import Control
from tests.forge import amd, snp

ARK, ASK, VCEK, CRL = amd.ark(), amd.ask(), amd.vcek(), amd.crl()
ROOTS = Roots(amd=(hashlib.sha256(ARK).digest(),))
REPORT = snp.sign(snp.blank())


GOOD = Control(examine, evidence=REPORT, endorsements=(ARK, ASK, VCEK, CRL), roots=ROOTS, now=amd.NOW)


def examined(
    evidence: bytes = REPORT,
    *endorsements: bytes,
    now: int = amd.NOW,
    roots: Roots = ROOTS,
    control: Control[Examination] = GOOD,
) -> Examination:
    given = endorsements or (ARK, ASK, VCEK, CRL)
    return control.but(evidence=evidence, endorsements=given, roots=roots, now=now)


def vlek(csp: str) -> Examination:
    asvk = amd.ask(vlek=True)
    report = snp.sign(snp.blank(flags=1 << 2, chip_id=bytes(64)))
    return examined(report, ARK, asvk, amd.vcek(csp=csp), CRL)


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


ONLY: dict[str, Callable[[], Examination]] = {
    "signing-certificate": lambda: examined(snp.sign(snp.blank(flags=7 << 2))),
    "product": lambda: examined(snp.sign(snp.blank(cpuid=snp.CPUID["milan"]))),
    "certificate-tcb": lambda: examined(snp.sign(snp.blank(reported_tcb=bytes(8)))),
    "certificate-chip": lambda: examined(snp.sign(snp.blank(chip_id=b"\1" * 64))),
    "signature-form": lambda: examined(snp.sign(snp.blank(signature_algorithm=2))),
    "signature": lambda: examined(snp.sign(snp.blank(), amd.ec_key("another chip"))),
    "issuers": lambda: examined(REPORT, VCEK, ASK, CRL),
    "root": lambda: examined(roots=Roots()),
    "chain": lambda: examined(REPORT, ARK, ASK, amd.vcek(by=amd.rsa_key("nobody")), CRL),
    "validity": lambda: examined(REPORT, ARK, ASK, amd.vcek(end=amd.START), CRL),
    "revocation": lambda: examined(REPORT, ARK, ASK, VCEK, amd.crl([7])),
}
"""Of each check evidence that fails it, and nothing else but what rests on it."""


def test_good_evidence_is_authentic() -> None:
    found = examined()
    assert set(outcomes(found).values()) == {PASSED}
    claims = found.verified().claims
    assert (claims.measurement, claims.debug, claims.chip_id) == (b"\1" * 48, False, amd.CHIP)
    assert {f.id for f in found.forecast} == {"validity", "revocation"}


@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = outcomes(ONLY[id]())
    assert found[id] == (NOT_CHECKED if id == "issuers" else FAILED)
    assert {outcome for other, outcome in found.items() if other != id} <= {PASSED, NOT_REACHED}


def test_the_table_is_complete() -> None:
    assert tuple(ONLY) == CHECKS


@pytest.mark.parametrize("missing", [VCEK, ASK, ARK])
def test_without_a_certificate_nothing_is_decided(missing: bytes) -> None:
    given = [der for der in (ARK, ASK, VCEK, CRL) if der != missing]
    assert examined(REPORT, *given).status == "undecided"


@pytest.mark.parametrize(
    ("crl", "said"),
    [
        (b"", "no revocation list"),
        (amd.crl(product="Milan"), "no revocation list of this root"),
        (amd.crl(by=amd.rsa_key("nobody")), "not signed"),
        (amd.crl(end=amd.earlier(1), start=amd.earlier(2)), "expired: the revocation list ended"),
        (amd.crl(start=amd.END, end=amd.END), "not yet valid: the revocation list begins"),
    ],
)
def test_without_a_list_that_holds_revocation_is_unknown(crl: bytes, said: str) -> None:
    found = examined(REPORT, ARK, ASK, VCEK, *([crl] if crl else []))
    assert found.status == "authentic"
    assert outcomes(found)["revocation"] == NOT_CHECKED
    revoked = found.verified().claims.revoked  # type: ignore[attr-defined]
    assert isinstance(revoked, Unknown)
    assert said in revoked.reason


def test_the_second_of_two_lists_may_be_the_one() -> None:
    assert (
        examined(REPORT, ARK, ASK, VCEK, amd.crl(end=amd.earlier(1), start=amd.earlier(2)), CRL).status == "authentic"
    )


def test_the_certificate_that_fits_is_found_among_many() -> None:
    others = (amd.vcek(chip=b"\7" * 64), amd.vcek(tcb=bytes(8)), amd.ark("Milan"), amd.ask("Milan"), amd.vcek("Milan"))
    assert examined(REPORT, *others, ARK, ASK, VCEK, CRL, b"{}").status == "authentic"


def test_vlek() -> None:
    found = vlek("CN=cc.example")
    assert found.status == "authentic"
    claims: Any = found.verified().claims
    assert (claims.csp_id, claims.signing_key) == ("CN=cc.example", "vlek")
    assert isinstance(claims.chip_id, Unknown)


def test_a_masked_chip_id_is_not_held_against_a_vcek() -> None:
    found = examined(snp.sign(snp.blank(chip_id=bytes(64))))
    assert (found.status, outcomes(found)["certificate-chip"]) == ("authentic", NOT_CHECKED)


def test_a_masked_key_signs_nothing() -> None:
    assert outcomes(examined(snp.sign(snp.blank(flags=2))))["signing-certificate"] == FAILED


def test_turin_has_a_layout_and_ids_of_its_own() -> None:
    tcb, chip = amd.TCB["turin"], b"\5" * 8
    ark, ask = amd.ark("Turin"), amd.ask("Turin")
    given = (ark, ask, amd.vcek("Turin", tcb=tcb, chip=chip, said="Turin"), amd.crl(product="Turin"))
    report = snp.blank(
        cpuid=snp.CPUID["turin"],
        chip_id=chip.ljust(64, b"\0"),
        **dict.fromkeys(("reported_tcb", "committed_tcb", "launch_tcb", "current_tcb"), tcb),
    )
    roots = Roots(amd=(hashlib.sha256(ark).digest(),))
    turin = GOOD.with_(evidence=snp.sign(report), endorsements=given, roots=roots)
    claims: Any = turin.but().verified().claims
    assert claims.reported_tcb == Tcb(turin=Parts(fmc=1, bootloader=1, tee=0, snp=2, microcode=71))
    assert turin.but(evidence=snp.sign(report).replace(chip, b"\6" * 8)).status == "not authentic"


def test_version_2_takes_the_product_from_the_certificate() -> None:
    old = snp.blank(version=2, cpuid=None, launch_mitigations=0, current_mitigations=0)
    claims: Any = examined(snp.sign(old)).verified().claims
    assert (claims.product, claims.version) == ("genoa", 2)
    assert isinstance(claims.launch_mitigations, Unknown)


def test_claims_are_what_the_bits_say() -> None:
    claims: Any = examined(snp.sign(snp.blank(policy=0x1BF0203, platform_info=0xFF))).verified().claims
    assert claims.policy_abi == 0x203
    assert claims.debug
    assert all(getattr(claims, name) for name in claims.__fields__ if name.startswith("platform_"))
    assert claims.current_mitigations == Bits(1)


def test_a_signer_of_no_known_product_or_without_its_parts_is_for_nothing() -> None:
    assert outcomes(examined(REPORT, ARK, ASK, amd.vcek(said="Rome"), CRL))["product"] == FAILED
    unknown = snp.sign(snp.blank(cpuid=(0x17, 0x31, 0)))
    assert outcomes(examined(unknown))["product"] == FAILED


def test_an_extended_report_brings_its_certificates() -> None:
    guids = ("63da758de6644564adc5f4b93be8accd", "4ab7b379bbac4fe4a02f05aef327c782", "c0b406a4a803495297433fb6014cd0ae")
    table, body = b"", b""
    for guid, der in zip(guids, (VCEK, ASK, ARK), strict=True):
        table += bytes.fromhex(guid) + (24 * 4 + len(body)).to_bytes(4, "little") + len(der).to_bytes(4, "little")
        body += der
    assert examined(REPORT + table + bytes(24) + body, CRL).status == "authentic"


@pytest.mark.parametrize("bit", [*range(0, SIGNED_SIZE * 8, 97), *range(SIGNED_SIZE * 8, (SIGNED_SIZE + 144) * 8, 61)])
def test_no_bit_can_be_changed(bit: int) -> None:
    changed = bytearray(REPORT)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        found = examined(bytes(changed))
    except ParseError:
        return
    assert found.status == "not authentic"


def test_verify_raises() -> None:
    control = Control(partial(verify, "snp"), **GOOD.inputs).with_(endorsements=(ARK, ASK, VCEK))
    assert control.but().claims.kind == "snp"
    with pytest.raises(VerificationError):
        control.but(now=0)


BAD_EXTENSION = amd.certificate(
    "SEV-VCEK", "SEV-Genoa", amd.ec_key("chip"), amd.rsa_key("SEV-Genoa"), absolute={"2.5.29.19": b"junk"}
)


@pytest.mark.parametrize(
    "junk", [BAD_EXTENSION, b"", b"0", b"0\x82\1\0", VCEK[:-1], VCEK + b"\0", bytes(20_000), bytes(2 << 20)]
)
def test_what_is_no_certificate_is_passed_over(junk: bytes) -> None:
    assert examined(REPORT, junk, ARK, ASK, VCEK, CRL).status == "authentic"
    assert examined(REPORT, ARK, ASK, junk).status == "undecided"


def test_a_list_of_changes_is_none() -> None:
    found = examined(REPORT, ARK, ASK, VCEK, amd.crl(more=(x509.DeltaCRLIndicator(1),)))
    assert outcomes(found)["revocation"] == NOT_CHECKED


def test_any_list_may_revoke() -> None:
    for lists in ((CRL, amd.crl([7])), (amd.crl([7]), CRL)):
        assert outcomes(examined(REPORT, ARK, ASK, VCEK, *lists))["revocation"] == FAILED


@pytest.mark.parametrize(
    "one",
    [
        amd.crl([7], end=amd.earlier(1), start=amd.earlier(2)),
        amd.crl([7], start=amd.END, end=amd.END),
        amd.crl([7], by=amd.rsa_key("nobody")),
        amd.crl([7], product="Milan"),
        amd.crl([7], more=(x509.DeltaCRLIndicator(1),)),
    ],
    ids=["ended", "not yet", "not signed", "of another root", "of changes"],
)
def test_lists_that_say_nothing_hide_no_list_that_does(one: bytes) -> None:
    assert outcomes(examined(REPORT, ARK, ASK, VCEK, one, CRL))["revocation"] == PASSED
    for lists in ((one, CRL, amd.crl([7])), (amd.crl([7]), CRL, one)):
        assert outcomes(examined(REPORT, ARK, ASK, VCEK, *lists))["revocation"] == FAILED


def test_the_newest_list_that_holds_is_the_one_that_counts_for_time() -> None:
    old = amd.crl(start=amd.earlier(5), end=amd.END - timedelta(days=200))
    ends = [f.until for f in examined(REPORT, ARK, ASK, VCEK, old, CRL).forecast if f.id == "revocation"]
    assert ends == [int(amd.END.timestamp())]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (amd.vcek(chip=b"\7" * 64), "the chain does not need: vcek genoa"),
        (amd.certificate("Somebody", "Somebody", amd.rsa_key("x"), amd.rsa_key("x")), "not of the vendor"),
        (amd.crl(product="Milan"), "an issuer outside the chain"),
        (amd.crl(end=amd.earlier(1), start=amd.earlier(2)), "expired: the revocation list ended"),
        (amd.crl(by=amd.rsa_key("nobody")), "not signed by the root"),
        (amd.crl(more=(x509.DeltaCRLIndicator(1),)), "malformed"),
        (amd.vcek(critical={"1.2.3": b""}), "a certificate that the chain does not need"),
        (b"{}", "JSON"),
        (b"", "malformed"),
        (bytes(2 << 20), "malformed"),
    ],
    ids=range(10),
)
def test_what_is_not_used_is_named(one: bytes, reason: str) -> None:
    (left,) = examined(REPORT, ARK, ASK, one, VCEK, CRL).unused
    assert (left.place, reason in left.reason) == (2, True)
    result = unappraised(examined(REPORT, ARK, ASK, one, VCEK, CRL).verified())
    assert result.to_value()["unused"] == [{"place": 2, "reason": left.reason}]


def test_without_a_chain_no_list_is_used() -> None:
    assert [one.place for one in examined(REPORT, VCEK, CRL).unused] == [1]


@pytest.mark.parametrize(
    ("now", "code", "said"),
    [
        (int(amd.START.timestamp()) - 1, "not-yet-valid", "not yet valid: the ARK's certificate begins 2026-05-27T"),
        (int(amd.END.timestamp()) + 1, "expired", "expired: the ARK's certificate ended 2027-03-24T"),
    ],
)
def test_expired_and_not_yet_valid_are_told_apart(now: int, code: str, said: str) -> None:
    found = examined(now=now)
    (check,) = [one for one in found.checks if one.outcome == FAILED]
    assert (check.id, check.code, f": {said}" in check.got) == ("validity", code, True)
    assert check.wanted == "2026-05-27T20:26:40Z to 2027-03-24T20:26:40Z"


def genoa(**extensions: bytes) -> Examination:
    """With other extensions in the VCEK."""
    return examined(REPORT, ARK, ASK, amd.vcek(extensions_over={k.strip("_"): v for k, v in extensions.items()}), CRL)


@pytest.mark.parametrize("product", ["Milan", "Genoa"])
@pytest.mark.parametrize("chip", [b"\5" * 8, b"\5" * 8 + bytes(56)], ids=["a chip that ends in zeros", "masked"])
def test_only_turin_has_ids_of_8_bytes(product: str, chip: bytes) -> None:
    """Of others such an id would be that of any chip that begins so, and goes on with zeros."""
    ark = amd.ark(product)
    roots = Roots(amd=(hashlib.sha256(ark).digest(),))
    given = (ark, amd.ask(product), amd.vcek(product, chip=b"\5" * 8), amd.crl(product=product))
    shown = chip.ljust(64, b"\0") if len(chip) == 8 else bytes(64)
    report = snp.sign(snp.blank(cpuid=snp.CPUID[product.lower()], chip_id=shown))
    whole = (*given[:2], amd.vcek(product, chip=shown if any(shown) else amd.CHIP), given[3])
    control = GOOD.with_(evidence=report, endorsements=whole, roots=roots)
    assert outcomes(control.but(endorsements=given))["certificate-chip"] == FAILED


def test_turin_has_no_ids_of_64_bytes() -> None:
    tcb, ark = amd.TCB["turin"], amd.ark("Turin")
    given = (ark, amd.ask("Turin"), amd.vcek("Turin", tcb=tcb, chip=b"\5" * 8 + bytes(56)), amd.crl(product="Turin"))
    tcbs = dict.fromkeys(("reported_tcb", "committed_tcb", "launch_tcb", "current_tcb"), tcb)
    report = snp.blank(cpuid=snp.CPUID["turin"], chip_id=(b"\5" * 8).ljust(64, b"\0"), **tcbs)
    short = (*given[:2], amd.vcek("Turin", tcb=tcb, chip=b"\5" * 8), given[3])
    roots = Roots(amd=(hashlib.sha256(ark).digest(),))
    control = GOOD.with_(evidence=snp.sign(report), endorsements=short, roots=roots)
    assert outcomes(control.but(endorsements=given))["certificate-chip"] == FAILED


@pytest.mark.parametrize(
    "value",
    [
        b"\2\2\0\x0a",
        b"\2\3\0\0\x0a",
        b"\2\x81\1\x0a",
        b"\2\1\x8a",
        b"\2\0",
        b"\2\1\x0a\0",
        b"\x0a\1\x0a",
        b"\4\1\x0a",
        b"",
        b"\x0a",
    ],
    ids=[
        "a zero before it",
        "two",
        "a long length",
        "negative",
        "none",
        "more",
        "ENUMERATED",
        "octets",
        "empty",
        "bare",
    ],
)
def test_an_integer_that_is_not_der(value: bytes) -> None:
    assert outcomes(genoa(**{"3.1": value}))["certificate-tcb"] == FAILED


@pytest.mark.parametrize("part", range(256))
def test_every_part_of_a_tcb_is_read(part: int) -> None:
    tcb = bytes([part, 0, 0, 0, 0, 0, 25, 84])
    report = snp.sign(snp.blank(reported_tcb=tcb))
    assert outcomes(examined(report, ARK, ASK, amd.vcek(tcb=tcb), CRL))["certificate-tcb"] == PASSED


@pytest.mark.parametrize(
    "value",
    [b"\x0c\x08Genoa-B1", b"\x16\x81\x08Genoa-B1", b"\x16\x07Genoa-B1", b"\x16\x09Genoa-B1", b"Genoa-B1", b""],
    ids=["UTF8String", "a long length", "short", "cut", "bare", "empty"],
)
def test_a_product_that_is_not_der(value: bytes) -> None:
    assert outcomes(genoa(**{"2": value}))["product"] == FAILED


@pytest.mark.parametrize("name", ["CN=\x1b[2J", "CN=caf\u00e9"], ids=["control", "not ASCII"])
def test_a_provider_that_can_not_be_printed(name: str) -> None:
    value = name.encode("latin-1")
    csp = bytes([0x16, len(value)]) + value
    report = snp.sign(snp.blank(flags=1 << 2, chip_id=bytes(64)))
    given = (ARK, amd.ask(vlek=True), amd.vcek(csp="x", extensions_over={"5": csp}), CRL)
    printable = (ARK, given[1], amd.vcek(csp="CN=cc.example"), CRL)
    control = GOOD.with_(evidence=report, endorsements=printable)
    assert outcomes(control.but(endorsements=given))["certificate-chip"] == FAILED


def test_false_issuers_do_no_harm() -> None:
    false_ask = amd.certificate("SEV-Genoa", "ARK-Genoa", amd.rsa_key("x"), amd.rsa_key("x"))
    false_ark = amd.certificate("ARK-Genoa", "ARK-Genoa", amd.rsa_key("x"), amd.rsa_key("x"))
    assert examined(REPORT, false_ask, false_ark, ARK, ASK, VCEK, CRL).status == "authentic"
    assert examined(REPORT, ARK, ASK, VCEK, CRL, false_ark, false_ask).status == "authentic"


def test_a_critical_extension_that_nobody_knows() -> None:
    odd = amd.vcek(critical={"1.2.3": b""})
    assert outcomes(examined(REPORT, ARK, ASK, odd, CRL))["signing-certificate"] == NOT_CHECKED


def test_machines_that_are_behind_are_told_so() -> None:
    old = dict.fromkeys(
        ("reported_tcb", "committed_tcb", "launch_tcb", "current_tcb"), bytes([9, 0, 0, 0, 0, 0, 22, 84])
    )
    given = (ARK, ASK, amd.vcek(tcb=old["reported_tcb"]), CRL)
    said = [f for f in examined(snp.sign(snp.blank(**old)), *given).forecast if f.until is None]
    assert [f.id for f in said] == ["committed-tcb"]
    assert said[0].reason.endswith("bootloader 9 (10), snp 22 (23)")


def test_a_policy_with_bits_that_nobody_knows() -> None:
    with pytest.raises(ParseError, match="unknown bits"):
        examined(snp.sign(snp.blank(policy=0x30000 | 1 << 26)))


def test_other_certificates_are_passed_over() -> None:
    other = amd.certificate("Somebody", "Somebody", amd.rsa_key("x"), amd.rsa_key("x"))
    assert examined(REPORT, other, ARK, ASK, VCEK, CRL).status == "authentic"


def test_a_key_of_another_kind_verifies_nothing() -> None:
    assert outcomes(examined(REPORT, ARK, ASK, amd.vcek(key=amd.rsa_key("chip")), CRL))["signature"] == FAILED


def test_a_curve_that_is_not_known_verifies_nothing() -> None:
    oid = bytes.fromhex("06052b81040022")
    strange = VCEK.replace(oid, oid[:-1] + b"\x7f")
    assert outcomes(examined(REPORT, ARK, ASK, strange, CRL))["signature"] == FAILED


def test_a_tcb_part_over_255_is_for_nothing() -> None:
    strange = amd.vcek(extensions_over={"3.8": amd.integer(256)})
    assert outcomes(examined(REPORT, ARK, ASK, strange, CRL))["certificate-tcb"] == FAILED


def test_a_root_with_a_key_of_another_kind_signs_nothing() -> None:
    ark = amd.certificate("ARK-Genoa", "ARK-Genoa", amd.ec_key("root"), amd.rsa_key("ARK-Genoa"))
    roots = Roots(amd=(hashlib.sha256(ark).digest(), *ROOTS.pins(AMD)))
    found = outcomes(examined(REPORT, ark, ASK, VCEK, CRL, roots=roots, control=GOOD.with_(roots=roots)))
    assert (found["chain"], found["revocation"]) == (FAILED, NOT_REACHED)


@given(st.binary(max_size=3000))
def test_whatever_the_bytes(data: bytes) -> None:
    try:
        found = examined(data)
    except ParseError:
        return
    assert found.status == "not authentic"


@given(st.binary(min_size=REPORT_SIZE - 4, max_size=REPORT_SIZE - 4))
def test_whatever_the_report(data: bytes) -> None:
    try:
        found = examined(b"\5\0\0\0" + data)
    except ParseError:
        return
    assert found.status == "not authentic"


def test_what_amd_endorses_no_key_of() -> None:
    for report, code in (
        (snp.blank(flags=7 << 2), "endorsements-key"),
        (snp.blank(chip_id=bytes(64)), "endorsements-chip"),
    ):
        with pytest.raises(UsageError) as caught:
            request(snp.sign(report))
        assert caught.value.code == code
    assert [product for product, _ in request(snp.sign(OLDEST)).tcbs] == ["milan", "genoa"]


OLDEST = snp.blank(version=2, cpuid=None, launch_mitigations=0, current_mitigations=0)
"""A report that does not name its product."""
