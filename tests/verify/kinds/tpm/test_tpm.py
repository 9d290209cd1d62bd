"""TPM quotes: each check fails by itself; nothing that is signed can be changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, VerificationError
from enarx.formats.evidence.families.tpm import Quote, encode
from enarx.formats.evidence.tpm import Evidence, PublicKey, Signature
from enarx.verify import Roots, TrustAnchor, verify
from enarx.verify import certificates as verify_certificates
from enarx.verify.examination import Examination
from enarx.verify.kinds.tpm.examine import CHECKS, examine
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED
from enarx.verify.values import Unknown
from tests.controls import Control
from tests.forge import tpm

ROOTS = Roots(tpm=(TrustAnchor(tpm.spki(tpm.rsa_key())), TrustAnchor(tpm.spki(tpm.ec_key()))))


AK, ISSUER, ROOT = tpm.maker()
MAKERS = Roots(tpm_makers=(hashlib.sha256(ROOT).digest(),))


GOOD = Control(examine, evidence=tpm.attestation(), endorsements=(), roots=ROOTS, now=tpm.NOW)
CERTIFIED = Control(
    examine,
    evidence=tpm.attestation(certificates=(AK,)),
    endorsements=(ISSUER, ROOT),
    roots=MAKERS,
    now=tpm.NOW,
)


def examined(
    evidence: bytes,
    roots: Roots = ROOTS,
    *given: bytes,
    now: int = tpm.NOW,
    control: Control[Examination] = GOOD,
) -> Examination:
    return control.but(evidence=evidence, endorsements=given, roots=roots, now=now)


def certified(*certificates: bytes, roots: Roots = MAKERS, now: int = tpm.NOW) -> Examination:
    """Evidence with its key's certificate, the others beside it."""
    evidence = tpm.attestation(certificates=certificates[:1])
    return examined(evidence, roots, *certificates[1:], now=now, control=CERTIFIED)


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


ONLY: dict[str, Callable[[], Examination]] = {
    "key": lambda: examined(tpm.attestation(attributes=0x00040072)),
    "key-provenance": lambda: examined(tpm.attestation(key=tpm.rsa_key("unknown"))),
    "key-validity": lambda: certified(AK, ISSUER, ROOT, now=tpm.NOW + 2000),
    "revocation": lambda: certified(AK, ISSUER, ROOT, tpm.revoked("issuer", 7)),
    "pcr-selection": lambda: examined(tpm.attestation(tpm.quote(select=tpm.selection(range(8))))),
    "pcr-digest": lambda: examined(tpm.attestation(tpm.quote(digest=bytes(32)))),
    "quote-signature": lambda: examined(tpm.attestation(by=tpm.rsa_key("nobody"))),
}
"""Of each check evidence that fails it, and nothing else but what rests on it."""


@pytest.mark.parametrize("key", [tpm.rsa_key(), tpm.ec_key()], ids=["rsa", "ec"])
def test_good_evidence_is_authentic(key: Any) -> None:
    found = examined(tpm.attestation(key=key))
    assert set(outcomes(found).values()) == {PASSED}
    claims: Any = found.verified().claims
    assert (claims.report_data, claims.ak_certified, claims.pcr_bank) == (tpm.FRESH, True, "sha256")
    assert (claims.pcrs[1], claims.firmware, claims.clock_safe) == ("1:" + "01" * 32, 0x2020, True)


@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = outcomes(ONLY[id]())
    assert found[id] == FAILED
    if id == "key-provenance":
        assert found.pop("key-validity") == NOT_CHECKED  # of what certificate
    if id in ("key-provenance", "key-validity"):
        assert found.pop("revocation") == NOT_CHECKED  # no list
    assert {outcome for name, outcome in found.items() if name != id} <= {PASSED, NOT_REACHED}


def test_the_table_is_complete() -> None:
    assert tuple(ONLY) == CHECKS


def test_a_message_of_too_many_fields() -> None:
    filler = tpm.field(9, 0)
    Evidence.from_bytes(tpm.attestation() + filler * 200)
    with pytest.raises(ParseError, match="over 256 fields"):
        Evidence.from_bytes(tpm.attestation() + filler * 256)


def test_certificates_in_any_number_cost_no_more_than_a_signature_each() -> None:
    """Of the same names, each of which could have issued each: no key is tried that nobody vouches for."""
    own = [tpm.certificate("x", "x", depth=90, end=tpm.NOW + i) for i in range(1, 21)]
    leaves = [tpm.certificate("ak", "x", end=tpm.NOW + i) for i in range(1, 21)]
    outcomes(certified())
    tried = verify_certificates.issued.misses
    assert outcomes(certified(*own, *leaves, ROOT))["key-provenance"] == NOT_CHECKED
    assert verify_certificates.issued.misses - tried <= 2 * (len(own) + len(leaves))


def test_of_many_authorities_of_a_maker_any_may_have_certified_the_key() -> None:
    others = [tpm.certificate(f"issuer {i}", "root", key=tpm.rsa_key("issuer"), depth=0) for i in range(20)]
    assert outcomes(certified(AK, *others, ISSUER, ROOT))["key-provenance"] == PASSED


def test_a_maker_certifies_the_key() -> None:
    found = certified(AK, ISSUER, ROOT)
    assert outcomes(found) == dict.fromkeys(CHECKS, PASSED) | {"revocation": NOT_CHECKED}
    claims: Any = found.verified().claims
    assert claims.ak_certified is True
    assert [(f.id, f.until) for f in found.forecast] == [("key-validity", tpm.NOW + 1000)] * 3
    inside = examined(tpm.attestation(certificates=(AK, ISSUER, ROOT)), MAKERS)
    assert outcomes(inside) == outcomes(found)


RSA_SHA256 = bytes.fromhex("2a864886f70d01010b")


@pytest.mark.parametrize(
    ("lists", "outcome"),
    [
        ((tpm.revoked("issuer", 8),), PASSED),
        ((tpm.revoked("root", 7),), FAILED),
        ((tpm.revoked("issuer", 8), tpm.revoked("issuer", 7, start=tpm.NOW - 900)), FAILED),
        ((tpm.revoked("issuer", 7, start=tpm.NOW - 900), tpm.revoked("issuer", 8)), FAILED),
        ((tpm.revoked("issuer", 7, end=tpm.NOW - 1), tpm.revoked("issuer", 8)), PASSED),
        ((tpm.revoked("issuer", 7, end=tpm.NOW - 1),), NOT_CHECKED),
        ((tpm.revoked("issuer", 7, signer=tpm.rsa_key("nobody")),), NOT_CHECKED),
        ((tpm.revoked("issuer", 7, signer=tpm.ec_key("nobody")),), NOT_CHECKED),
        ((tpm.revoked("nobody", 7),), NOT_CHECKED),
        ((tpm.revoked("issuer", 7).replace(RSA_SHA256, RSA_SHA256[:-1] + b"\x7f"),), NOT_CHECKED),
    ],
    ids=range(10),
)
def test_any_list_of_an_issuer_revokes(lists: tuple[bytes, ...], outcome: str) -> None:
    assert outcomes(certified(AK, ISSUER, ROOT, *lists))["revocation"] == outcome


def test_an_issuer_that_may_sign_no_lists() -> None:
    strict = tpm.certificate("issuer", "root", depth=0, lists=False)
    found = outcomes(certified(AK, strict, ROOT, tpm.revoked("issuer", 7)))
    assert (found["key-provenance"], found["revocation"]) == (PASSED, NOT_CHECKED)


def test_what_was_not_needed_is_named() -> None:
    others = (
        tpm.certificate("other", "root"),
        tpm.revoked("issuer", 8),
        tpm.revoked("issuer", 7, end=tpm.NOW - 1),
        b"0",
    )
    found = certified(AK, ISSUER, ROOT, *others).unused
    assert [one.place for one in found] == [2, 4, 5]
    assert [one.reason.partition(":")[0] for one in found] == [
        "a certificate that the chain does not need",
        "expired",
        "malformed",
    ]


@pytest.mark.parametrize(
    "certificates",
    [
        (tpm.certificate("ak", "issuer", key=tpm.rsa_key("another")), ISSUER, ROOT),
        (AK, ROOT),
        (AK, ISSUER),
        (ISSUER, ROOT),
        (AK, tpm.certificate("issuer", "root", signer=tpm.rsa_key("nobody"), depth=0), ROOT),
        (AK, tpm.certificate("issuer", "root"), ROOT),
        (AK, tpm.certificate("issuer", "root", depth=0, odd=True), ROOT),
        (tpm.certificate("ak", "issuer", odd=True), ISSUER, ROOT),
        (tpm.certificate("ak", "issuer", depth=0), ISSUER, ROOT),
        (tpm.certificate("ak", "someone"), ISSUER, ROOT),
        (tpm.certificate("ak", "issuer", signer=tpm.ec_key("nobody")), ISSUER, ROOT),
        (AK, tpm.certificate("issuer", "between", depth=0), tpm.certificate("between", "root", depth=0), ROOT),
        (b"0", ISSUER, ROOT),
        (tpm.certificate("ak", "issuer", use="1.3.6.1.5.5.7.3.2"), ISSUER, ROOT),
    ],
    ids=range(14),
)
def test_certificates_that_lead_nowhere_certify_nothing(certificates: tuple[bytes, ...]) -> None:
    found = certified(*certificates)
    assert (found.status, outcomes(found)["key-provenance"]) == ("authentic", NOT_CHECKED)
    claims: Any = found.verified().claims
    assert isinstance(claims.ak_certified, Unknown)


def test_a_root_alone_certifies_no_key() -> None:
    """Nor does one that is pinned sign for itself."""
    own = tpm.certificate("ak", "ak")
    assert (
        outcomes(certified(own, roots=Roots(tpm_makers=(hashlib.sha256(own).digest(),))))["key-provenance"]
        == NOT_CHECKED
    )


def test_nobody_vouches_for_a_key() -> None:
    found = examined(tpm.attestation(), Roots())
    assert (found.status, outcomes(found)["key-provenance"]) == ("authentic", NOT_CHECKED)
    claims: Any = found.verified().claims
    assert isinstance(claims.ak_certified, Unknown)


def test_a_key_and_a_signature_of_two_kinds() -> None:
    assert outcomes(examined(tpm.attestation(key=tpm.ec_key(), by=tpm.rsa_key())))["quote-signature"] == FAILED


def test_a_point_on_no_curve_is_no_key() -> None:
    broken = tpm.attestation(key=tpm.ec_key())
    x = tpm.number(tpm.ec_key().public_key().public_numbers().x, 32)
    found = outcomes(examined(broken.replace(x, bytes(31) + b"\5")))
    assert (found["key"], found["key-provenance"]) == (FAILED, FAILED)


def test_the_strongest_bank_counts() -> None:
    sha1 = tpm.quote(select=tpm.selection(range(24), 0x0004))
    message = tpm.quote()
    data = (
        tpm.field(1, tpm.public())
        + tpm.one_quote(sha1, tpm.signature(sha1), [pcr[:20] for pcr in tpm.PCRS])
        + tpm.one_quote(message, tpm.signature(message))
    )
    assert examined(data).status == "authentic"
    with pytest.raises(ParseError, match="SHA-2"):
        examined(tpm.field(1, tpm.public()) + tpm.one_quote(sha1, tpm.signature(sha1), [pcr[:20] for pcr in tpm.PCRS]))


MESSAGE = tpm.quote()


@pytest.mark.parametrize(
    "data",
    [
        bytes((4 << 20) + 1),
        tpm.field(2, b""),
        tpm.field(1, tpm.public()) + tpm.field(2, tpm.field(1, MESSAGE)),
        tpm.field(1, tpm.public()) + tpm.one_quote(MESSAGE, tpm.signature(MESSAGE), {24: b""}),
        tpm.field(1, tpm.public()) + tpm.one_quote(MESSAGE, tpm.signature(MESSAGE), {0: b""})[:-1],
        b"\x0a",
        b"\x80" * 12,
        b"\x0b\0",
    ],
)
def test_what_is_no_attestation(data: bytes) -> None:
    with pytest.raises(ParseError):
        Evidence.from_bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        tpm.quote(magic=1),
        tpm.quote(kind=0x8017),
        tpm.quote(tail=b"\0"),
        tpm.quote()[:-1],
        tpm.quote(select=tpm.number(2, 4)),
        tpm.quote(select=tpm.selection((), 0x99)),
        tpm.quote(select=tpm.number(1, 4) + tpm.number(11, 2) + b"\4" + b"\0\0\0\1"),
    ],
)
def test_what_is_no_quote(data: bytes) -> None:
    with pytest.raises(ParseError):
        Quote.from_bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        tpm.number(0x0025, 2) + tpm.public()[2:],
        tpm.public(scheme=tpm.number(0x0099, 2)),
        tpm.public()[:10] + tpm.number(6, 2) + tpm.public()[12:],
        tpm.public(tpm.ec_key(), scheme=tpm.number(0x10, 2)).replace(
            tpm.number(3, 2) + tpm.number(16, 2), b"\0\x77\0\x10"
        ),
        tpm.public() + b"\0",
    ],
)
def test_what_is_no_key(data: bytes) -> None:
    with pytest.raises(ParseError):
        PublicKey.from_bytes(data)


def test_a_key_of_no_scheme() -> None:
    assert PublicKey.from_bytes(tpm.public(scheme=tpm.number(0x10, 2))).numbers[0] == 65537


@pytest.mark.parametrize("data", [b"\0\x14\0\x04\0\0", b"\0\x16\0\x0b\0\0", b"\0\x14\0\x0b\0\0x"])
def test_what_is_no_signature(data: bytes) -> None:
    with pytest.raises(ParseError):
        Signature.from_bytes(data)


def test_no_bit_of_the_quote_can_be_changed() -> None:
    data = tpm.attestation()
    start = data.index(MESSAGE)
    for bit in range(0, len(MESSAGE) * 8, 7):
        changed = bytearray(data)
        changed[start + bit // 8] ^= 1 << bit % 8
        try:
            assert examined(bytes(changed)).status == "not authentic"
        except ParseError:
            continue


def test_bytes_are_kept_and_verify_raises() -> None:
    data = tpm.attestation()
    found = Evidence.from_bytes(data)
    assert (found.to_bytes(), found.signed, found.quote.to_bytes()) == (data, MESSAGE, MESSAGE)
    control = Control(partial(verify, "tpm"), **GOOD.inputs)
    assert control.but().claims.kind == "tpm"
    with pytest.raises(VerificationError):
        control.but(evidence=tpm.attestation(attributes=0))


@given(st.binary(max_size=400))
def test_whatever_the_bytes(data: bytes) -> None:
    with pytest.raises(ParseError):
        examined(data)


@given(st.binary(max_size=200))
def test_whatever_the_parts(data: bytes) -> None:
    for part in (Quote, PublicKey, Signature):
        try:
            part.from_bytes(data)
        except ParseError:
            continue


def test_a_quote_of_no_register() -> None:
    with pytest.raises(ParseError, match="no register"):
        Quote.from_bytes(tpm.quote(select=tpm.selection(())))


def test_the_end_of_a_value_can_not_be_moved() -> None:
    """The digest is the same, wherever one ends and the next begins."""
    moved = (tpm.PCRS[0] + tpm.PCRS[1][:1], tpm.PCRS[1][1:], *tpm.PCRS[2:])
    with pytest.raises(ParseError, match="33 bytes"):
        examined(tpm.attestation(pcrs=moved))


def test_a_certificate_of_a_key_that_nobody_knows() -> None:
    odd = tpm.certificate("ak", "issuer", key=tpm.ec_key()).replace(
        bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f")
    )
    assert outcomes(certified(odd, ISSUER, ROOT))["key-provenance"] == NOT_CHECKED


def test_sha1_vouches_for_nothing() -> None:
    weak = ISSUER.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))
    assert outcomes(certified(AK, weak, ROOT))["key-provenance"] == NOT_CHECKED


def test_fields_and_back(evidence_dir: Path) -> None:
    found = [tpm.quote(), tpm.quote(select=tpm.selection(range(8)))]
    found += [Evidence.from_bytes(path.read_bytes()).quote.raw for path in (evidence_dir / "tpm").glob("*/*.pb")]
    for data in found:
        assert encode(Quote.from_bytes(data)) == data


def test_a_clock_is_safe_or_not() -> None:
    at = tpm.quote().index((0x2020).to_bytes(8, "big")) - 1
    with pytest.raises(ParseError, match="clock"):
        Quote.from_bytes(tpm.quote()[:at] + b"\2" + tpm.quote()[at + 1 :])


def test_no_more_certificates_than_a_chain_may_have() -> None:
    with pytest.raises(ParseError, match="17 certificates, at most 16"):
        Evidence.from_bytes(tpm.attestation(certificates=(AK,) * 17))
    assert Evidence.from_bytes(tpm.attestation(certificates=(AK,) * 16)).certificates == (AK,) * 16


def test_a_time_that_has_no_date() -> None:
    for now, code in ((-1, "not-yet-valid"), (1 << 40, "expired")):
        (check,) = [one for one in certified(AK, ISSUER, ROOT, now=now).checks if one.id == "key-validity"]
        assert (check.code, check.got.startswith(f"{now}: ")) == (code, True)
