"""CCA tokens: each check fails by itself; nothing that is signed can be changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, UnavailableError, UsageError
from enarx.formats.evidence.cca import Evidence
from enarx.verify import Roots, TrustAnchor, verify
from enarx.verify.examination import Examination
from enarx.verify.kinds import detect
from enarx.verify.kinds.cca.examine import CHECKS, examine
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED
from tests.controls import Control
from tests.forge import arm

ROOTS = Roots(cca=(TrustAnchor(b"no key"), TrustAnchor(arm.spki("platform"))))


GOOD = Control(examine, evidence=arm.token(), endorsements=(), roots=ROOTS, now=0)


def examined(evidence: bytes | None = None, roots: Roots = ROOTS) -> Examination:
    return GOOD.but(evidence=arm.token() if evidence is None else evidence, roots=roots)


def with_key(rak: bytes, **changes: Any) -> Examination:
    return examined(arm.token(arm.platform(rak), arm.realm(c44237=rak, **changes)))


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


ONLY: dict[str, Callable[[], Examination]] = {
    "platform-signature": lambda: examined(arm.token(platform_by="nobody")),
    "realm-key-hash": lambda: examined(arm.token(arm.platform(c10=bytes(32)))),
    "realm-key": lambda: with_key(b"\4" + bytes(96)),
    "realm-signature": lambda: examined(arm.token(realm_by="nobody")),
}
"""Of each check evidence that fails it, and nothing else but what rests on it."""


def test_good_evidence_is_authentic() -> None:
    found = examined()
    assert set(outcomes(found).values()) == {PASSED}
    claims: Any = found.verified().claims
    assert (claims.measurement, claims.host_data, claims.debug) == (b"\1" * 32, bytes(32), False)
    assert claims.software_components[0] == f"BL:{'04' * 32}:{'05' * 32}"


@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = outcomes(ONLY[id]())
    assert found[id] == FAILED
    assert {outcome for name, outcome in found.items() if name != id} <= {PASSED, NOT_REACHED}


def test_the_table_is_complete() -> None:
    assert tuple(ONLY) == CHECKS


def test_without_a_key_nothing_is_decided() -> None:
    found = examined(roots=Roots())
    assert outcomes(found)["platform-signature"] == NOT_CHECKED


def test_both_forms_of_a_key() -> None:
    assert with_key(arm.cose_key()).status == "authentic"


@pytest.mark.parametrize(
    "rak",
    [
        b"\4" + bytes(10),
        b"\xff",
        cbor2.dumps([1]),
        cbor2.dumps({1: 2, -1: 9, -2: b"", -3: b""}),
        arm.cose_key()[:-1] + bytes([arm.cose_key()[-1] ^ 1]),
    ],
)
def test_what_is_no_key(rak: bytes) -> None:
    assert outcomes(with_key(rak))["realm-key"] == FAILED


def test_the_hash_is_the_one_that_is_named() -> None:
    good = arm.token(arm.platform(c10=hashlib.sha384(arm.point()).digest()), arm.realm(c44240="sha-384"))
    assert examined(good).status == "authentic"
    assert outcomes(examined(arm.token(of_realm=arm.realm(c44240="md5"))))["realm-key-hash"] == FAILED


def test_a_platform_key_of_another_kind_signs_nothing() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    other = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert outcomes(examined(roots=Roots(cca=(TrustAnchor(other),))))["platform-signature"] == FAILED


def test_a_signature_of_another_curve_is_none() -> None:
    token = cbor2.loads(arm.token()).value
    shorter = arm.sign(arm.realm(), "realm", protected=cbor2.dumps({1: -7}))
    changed = cbor2.dumps(cbor2.CBORTag(399, {44234: token[44234], 44241: shorter}))
    assert outcomes(examined(changed))["realm-signature"] == FAILED


def test_lifecycle_and_personalization() -> None:
    claims: Any = examined(arm.token(arm.platform(c2395=0x5003), arm.realm(c44235=b"\1" * 64))).verified().claims
    assert (claims.debug, claims.host_data) == (True, b"\1" * 64)


@pytest.mark.parametrize("bit", range(0, len(arm.token()) * 8, 157))
def test_no_bit_can_be_changed(bit: int) -> None:
    data = arm.token()
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        assert examined(bytes(changed)).status == "not authentic"
    except ParseError:
        return


def test_verify_raises() -> None:
    control = Control(partial(verify, "cca"), **GOOD.inputs)
    assert control.but().claims.kind == "cca"
    found = examined(roots=Roots())
    assert found.status in ("authentic", "undecided")
    with pytest.raises(UnavailableError):
        control.but(roots=Roots())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(70_000),
        cbor2.dumps({44234: b""}),
        cbor2.dumps({44234: 1, 44241: 2}),
        cbor2.dumps([1]),
        arm.token(arm.platform(c265=7)),
        arm.token(arm.platform(c10=b"")),
        arm.token(arm.platform(c2395=-1)),
        arm.token(arm.platform(c2399=7)),
        arm.token(arm.platform(c2399=[7])),
        arm.token(of_realm=arm.realm(c44239=[])),
        arm.token(of_realm=arm.realm(c44239=[bytes(3)] * 4)),
    ],
)
def test_what_is_no_token(data: bytes) -> None:
    with pytest.raises(ParseError):
        Evidence.from_bytes(data)


def test_bytes_are_kept() -> None:
    data = arm.token()
    found = Evidence.from_bytes(data)
    assert found.to_bytes() == data
    assert found.signed == found.platform.signed


@given(st.binary(max_size=300))
def test_whatever_the_bytes(data: bytes) -> None:
    with pytest.raises(ParseError):
        examined(data)


def wrapped(**changes: Any) -> bytes:
    """A token in its newer form."""
    entries: dict[Any, Any] = {
        44234: [263, arm.sign(arm.platform(), "platform")],
        44241: [263, arm.sign(arm.realm(), "realm"), 4],
    }
    return cbor2.dumps(cbor2.CBORTag(907, entries | changes))


def test_the_newer_form() -> None:
    assert examined(wrapped()).status == "authentic"
    assert examined(wrapped(__cmwc_t="tag:x")).status == "authentic"
    assert detect(wrapped()) == "cca"


@pytest.mark.parametrize(
    "entry", [b"", [263], [263, b"", 4, 4], [262, arm.sign(arm.platform(), "platform")], [263, "x"], [263.0, b"x"]]
)
def test_what_is_no_entry_of_it(entry: object) -> None:
    value = cbor2.loads(wrapped()).value
    with pytest.raises(ParseError):
        examined(cbor2.dumps(cbor2.CBORTag(907, dict(value) | {44234: entry})))


def headers(protected: dict[int, Any], unprotected: dict[int, Any]) -> bytes:
    """A token whose platform's headers are these."""
    first = cbor2.loads(arm.sign(arm.platform(), "platform", protected=cbor2.dumps({1: -35, **protected}))).value
    first = cbor2.dumps(cbor2.CBORTag(18, [first[0], unprotected, *first[2:]]))
    return cbor2.dumps(cbor2.CBORTag(399, {44234: first, 44241: arm.sign(arm.realm(), "realm")}))


def test_headers_that_name_keys_are_passed_over() -> None:
    assert examined(headers({4: b"kid", 34: [-16, b"x"]}, {33: b"certificate"})).status == "authentic"


@pytest.mark.parametrize(
    ("protected", "unprotected"),
    [({2: [99], 99: 1}, {}), ({}, {1: -35}), ({99: 1}, {}), ({1: [-35]}, {}), ({1: -35.0}, {})],
)
def test_other_headers_are_not(protected: dict[int, Any], unprotected: dict[int, Any]) -> None:
    with pytest.raises(ParseError):
        examined(headers(protected, unprotected))


def test_a_platform_has_software() -> None:
    with pytest.raises(ParseError, match="2399"):
        examined(arm.token(arm.platform(c2399=[])))


@pytest.mark.parametrize("field", ["cca", "tpm"])
@pytest.mark.parametrize("wrong", [arm.spki("platform"), "key", None])
def test_only_a_trust_anchor_is_one(field: str, wrong: Any) -> None:
    fields: Any = {field: (wrong,)}
    with pytest.raises(UsageError, match="TrustAnchor"):
        Roots(**fields)


@pytest.mark.parametrize("wrong", [b"", "key", bytearray(b"key"), TrustAnchor(b"key")])
def test_a_trust_anchor_is_of_bytes(wrong: Any) -> None:
    with pytest.raises(UsageError, match="a public key"):
        TrustAnchor(wrong)


def test_endorsements_are_not_needed_and_named() -> None:
    found = GOOD.with_(endorsements=(arm.spki("platform"), b"{}")).but(roots=Roots())
    assert (found.status, [one.place for one in found.unused]) == ("undecided", [0, 1])
