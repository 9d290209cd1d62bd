"""Nitro documents: each check fails by itself; nothing that is signed can be changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, VerificationError
from enarx.verify import Roots, verify
from enarx.verify.examination import Examination
from enarx.verify.kinds.nitro.examine import CHECKS, examine
from enarx.verify.result import FAILED, NOT_REACHED, PASSED
from enarx.verify.values import Unknown
from tests.controls import Control
from tests.forge import aws

ROOTS = Roots(aws=(hashlib.sha256(aws.root()).digest(),))


GOOD = Control(examine, evidence=aws.document(), endorsements=(), roots=ROOTS, now=aws.NOW)


def examined(evidence: bytes, *, now: int = aws.NOW, roots: Roots = ROOTS) -> Examination:
    return GOOD.but(evidence=evidence, roots=roots, now=now)


def with_(**fields: Any) -> Examination:
    return examined(aws.document(aws.payload(**fields)))


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


def zone(**more: Any) -> list[bytes]:
    return [aws.root(), aws.certificate("zone", "root", **more)]


ONLY: dict[str, Callable[[], Examination]] = {
    "root": lambda: examined(aws.document(), roots=Roots()),
    "chain": lambda: with_(cabundle=zone(signer="nobody")),
    "authorities": lambda: with_(cabundle=zone(authority=False)),
    "validity": lambda: with_(cabundle=zone(end=aws.NOW - 1)),
    "document-time": lambda: with_(timestamp=(aws.NOW + 301) * 1000),
    "signature": lambda: examined(aws.document(by="nobody")),
}
"""Of each check evidence that fails it, and nothing else but what rests on it."""


@pytest.mark.parametrize("tagged", [False, True])
def test_good_evidence_is_authentic(tagged: bool) -> None:
    found = examined(aws.document(tagged=tagged))
    assert set(outcomes(found).values()) == {PASSED}
    claims: Any = found.verified().claims
    assert (claims.measurement, claims.pcr8, claims.debug) == (b"\1" * 48, b"\x09" * 48, False)
    assert (claims.report_data, claims.chip_id) == (b"\7" * 32, b"i-0123456789abcdef0")
    assert found.forecast[0].until == aws.NOW + 3600


@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = outcomes(ONLY[id]())
    assert found[id] == FAILED
    assert {outcome for other, outcome in found.items() if other != id} <= {PASSED, NOT_REACHED}


def test_the_table_is_complete() -> None:
    assert tuple(ONLY) == CHECKS


@pytest.mark.parametrize(
    ("fields", "id"),
    [
        ({"cabundle": [aws.root(), aws.certificate("zone", "another", signer="root")]}, "chain"),
        ({"cabundle": [aws.root(), b"0"]}, "chain"),
        ({"cabundle": [aws.root(), aws.root(), aws.zone()][:2]}, "chain"),
        ({"certificate": aws.certificate("leaf", "zone")}, "authorities"),
        ({"cabundle": [aws.root(), aws.zone(), aws.certificate("below", "zone")]}, "chain"),
        ({"timestamp": (aws.NOW - 61) * 1000}, "document-time"),
        ({"certificate": aws.certificate("small", "zone", authority=False, curve="P-256")}, "signature"),
        (
            {"certificate": aws.certificate("leaf", "zone", extensions=(x509.InhibitAnyPolicy(1),))},
            "chain",
        ),
    ],
)
def test_other_ways_to_fail(fields: dict[str, Any], id: str) -> None:
    assert outcomes(with_(**fields))[id] == FAILED


def test_an_authority_of_no_depth_has_no_other_below_it() -> None:
    below = aws.certificate("below", "zone")
    leaf = aws.certificate("leaf", "below", authority=False)
    assert outcomes(with_(cabundle=[aws.root(), aws.zone(), below], certificate=leaf))["authorities"] == FAILED


def test_an_intermediate_of_another_curve_signs_nothing() -> None:
    small = aws.certificate("small", "root", curve="P-256")
    leaf = aws.certificate("leaf", "small", authority=False, signer="zone")
    assert outcomes(with_(cabundle=[aws.root(), small], certificate=leaf))["chain"] == FAILED


def test_debug_is_zero_pcrs() -> None:
    claims: Any = with_(pcrs={i: bytes(48) for i in range(3)}).verified().claims
    assert claims.debug
    assert isinstance(claims.pcr8, Unknown)


def test_key_usage_is_nothing_unknown() -> None:
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    assert with_(cabundle=zone(extensions=(usage,))).status == "authentic"


@pytest.mark.parametrize("bit", range(0, len(aws.document()) * 8, 263))
def test_no_bit_can_be_changed(bit: int) -> None:
    changed = bytearray(aws.document())
    changed[bit // 8] ^= 1 << bit % 8
    try:
        assert examined(bytes(changed)).status == "not authentic"
    except ParseError:
        return


def test_verify_raises() -> None:
    control = Control(partial(verify, "nitro"), **GOOD.inputs)
    assert control.but().claims.kind == "nitro"
    with pytest.raises(VerificationError):
        control.but(now=0)


@given(st.binary(max_size=300))
def test_whatever_the_payload(data: bytes) -> None:
    with pytest.raises(ParseError):
        examined(aws.envelope(data))
