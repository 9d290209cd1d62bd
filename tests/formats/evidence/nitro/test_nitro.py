"""Nitro documents: strict about everything that two readers could read in two ways."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.evidence.families.cose import sign1
from enarx.formats.evidence.nitro import Evidence
from tests.forge import aws

GOOD = aws.document()


def test_fields() -> None:
    found = Evidence.from_bytes(GOOD)
    assert (found.time, found.nonce, found.user_data) == (aws.NOW, b"\7" * 32, b"")
    assert found.to_bytes() == GOOD
    assert found.signed == cbor2.dumps(["Signature1", aws.PROTECTED, b"", cbor2.dumps(aws.payload())])


@pytest.mark.parametrize(
    "fields",
    [
        {"module_id": ""},
        {"module_id": 3},
        {"module_id": "a\nb"},
        {"digest": "SHA256"},
        {"timestamp": 0},
        {"timestamp": True},
        {"timestamp": 1 << 53},
        {"pcrs": {}},
        {"pcrs": []},
        {"pcrs": {32: bytes(48)}},
        {"pcrs": {"0": bytes(48)}},
        {"pcrs": {0: bytes(47)}},
        {"pcrs": {0: 7}},
        {"certificate": b""},
        {"certificate": bytes(1025)},
        {"cabundle": []},
        {"cabundle": {}},
        {"cabundle": [b"x"] * 17},
        {"cabundle": ["x"]},
        {"nonce": bytes(1025)},
        {"nonce": "x"},
        {"public_key": b""},
        {"more": 1},
    ],
)
def test_what_is_no_field(fields: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        Evidence.from_bytes(aws.document(aws.payload(**fields)))


def test_what_may_be_missing() -> None:
    fields = aws.payload()
    for name in ("public_key", "user_data", "nonce"):
        del fields[name]
    assert Evidence.from_bytes(aws.document(fields)).nonce == b""
    del fields["pcrs"]
    with pytest.raises(ParseError):
        Evidence.from_bytes(aws.document(fields))


def test_size_and_algorithm() -> None:
    with pytest.raises(ParseError, match="at most"):
        Evidence.from_bytes(bytes(70_000))
    with pytest.raises(ParseError, match="ES384"):
        Evidence.from_bytes(aws.envelope(cbor2.dumps(aws.payload()), protected=cbor2.dumps({1: -7})))
    with pytest.raises(ParseError, match="wanted a map"):
        Evidence.from_bytes(aws.envelope(b"\x80"))


@pytest.mark.parametrize("protected", [b"", b"\xa0", cbor2.dumps({1: -8}), cbor2.dumps({1: -35, 4: b""}), b"\x80"])
def test_the_header_is_an_algorithm_and_nothing_else(protected: bytes) -> None:
    with pytest.raises(ParseError):
        sign1(aws.envelope(b"x", protected=protected), "test")


def test_a_tpm_of_aws_is_no_enclave() -> None:
    fields = aws.payload()
    fields["nitrotpm_pcrs"] = fields.pop("pcrs")
    with pytest.raises(ParseError, match="not of an enclave"):
        Evidence.from_bytes(aws.document(fields))


@given(st.binary(max_size=200))
def test_whatever_the_bytes(data: bytes) -> None:
    with pytest.raises(ParseError):
        Evidence.from_bytes(data)
