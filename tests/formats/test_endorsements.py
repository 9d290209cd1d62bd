"""Endorsement files: each yields its endorsements, and files without endorsements yield none."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.bundle import Bundle, Item
from enarx.formats.endorsements import MAX_SIZE, Given, read, read_anchors
from tests.forge import amd, arm

CERTIFICATE, VCEK, LIST, KEY = amd.ark(), amd.vcek(), amd.crl(), arm.spki("platform")


def pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def jwk(**changes: object) -> bytes:
    raw = arm.point("platform")
    x, y = (base64.urlsafe_b64encode(half).rstrip(b"=").decode() for half in (raw[1:49], raw[49:]))
    return json.dumps({"kty": "EC", "crv": "P-384", "x": x, "y": y} | changes).encode()


def test_der() -> None:
    assert read(CERTIFICATE) == Given(endorsements=(CERTIFICATE,))
    assert read(LIST) == Given(endorsements=(LIST,))
    assert read(KEY) == Given(keys=(KEY,))


def test_pem_with_many_and_text_between() -> None:
    data = b"root\n" + pem("CERTIFICATE", CERTIFICATE) + b"list\n" + pem("X509 CRL", LIST) + pem("PUBLIC KEY", KEY)
    assert read(data) == Given(endorsements=(CERTIFICATE, LIST), keys=(KEY,))


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_stands_for_its_public_one(form: PrivateFormat) -> None:
    assert read(arm.key("platform").private_bytes(Encoding.PEM, form, NoEncryption())) == Given(keys=(KEY,))


def test_json() -> None:
    assert read(jwk()) == Given(keys=(KEY,))
    for around in (b" %s", b"\n%s\n", b"\xef\xbb\xbf%s"):
        assert read(around % b'{"tcb_info": ""}') == Given(endorsements=(b'{"tcb_info": ""}',))


def test_what_azure_hands_out() -> None:
    value = {
        "vcekCert": pem("CERTIFICATE", CERTIFICATE).decode(),
        "certificateChain": pem("CERTIFICATE", VCEK).decode(),
    }
    data = json.dumps(value).encode()
    assert read(data) == Given(endorsements=(CERTIFICATE, VCEK))
    assert read(base64.b64encode(data)) == Given(endorsements=(CERTIFICATE, VCEK))
    assert read(json.dumps({"vcekCert": value["vcekCert"]}).encode()) == Given(endorsements=(CERTIFICATE,))


def test_base64_of_der() -> None:
    assert read(base64.encodebytes(CERTIFICATE)) == Given(endorsements=(CERTIFICATE,))
    with pytest.raises(ParseError, match="neither DER, PEM nor JSON"):
        read(base64.b64encode(CERTIFICATE)[:-3])


def test_a_long_private_key_is_not_even_tried() -> None:
    with pytest.raises(ParseError, match="too long for an elliptic-curve key"):
        read(pem("PRIVATE KEY", bytes(20_000)))


def test_a_long_text_takes_no_time() -> None:
    """Quadratic time would take minutes here."""
    with pytest.raises(ParseError, match="truncated"):
        read(b"-----BEGIN CERTIFICATE-----\n" + b"\n" * 1_000_000)


def test_a_table() -> None:
    guid = bytes.fromhex("c0b406a4a803495297433fb6014cd0ae")
    table = guid + (48).to_bytes(4, "little") + len(CERTIFICATE).to_bytes(4, "little") + bytes(24) + CERTIFICATE
    assert read(table) == Given(endorsements=(CERTIFICATE,))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"{",
        b"[1]",
        b'{"kty": "EC"}',
        b"[" * 100_000,
        jwk(x="AA"),
        jwk(crv="P-1"),
        jwk(y=7),
        pem("CERTIFICATE REQUEST", b"x"),
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
        pem("PUBLIC KEY", b"x"),
        pem("PRIVATE KEY", b"x"),
        KEY[:40],
    ],
)
def test_what_holds_nothing(data: bytes) -> None:
    with pytest.raises(ParseError):
        read(data)


def test_a_certificate_of_azures_that_is_no_pem_is_not_passed_over() -> None:
    good = pem("CERTIFICATE", CERTIFICATE).decode()
    assert read(json.dumps({"vcekCert": good, "certificateChain": ""}).encode()).endorsements == (CERTIFICATE,)
    with pytest.raises(ParseError, match="no PEM block"):
        read(json.dumps({"vcekCert": "x", "certificateChain": ""}).encode())


def test_what_is_malformed_hides_nothing_beside_it() -> None:
    good = pem("CERTIFICATE", CERTIFICATE) + pem("PUBLIC KEY", KEY)
    for bad, said in (
        (pem("CERTIFICATE REQUEST", b"x"), "PEM block CERTIFICATE REQUEST"),
        (b"-----BEGIN X509 CRL-----\nAAA\n-----END X509 CRL-----\n", "not base64"),
        (pem("X509 CRL", LIST)[:-9], "1 truncated PEM blocks"),
        (pem("PRIVATE KEY", b"x"), "private key: malformed"),
        (pem("PUBLIC KEY", b"x"), "public key: malformed"),
    ):
        for data in (good + bad, *([bad + good] if bad.endswith(b"-----\n") else [])):
            found = read(data)
            assert (found.endorsements, found.keys, len(found.malformed)) == ((CERTIFICATE,), (KEY,), 1)
            assert said in found.malformed[0]


def test_an_item_of_a_bundle_that_is_malformed_hides_no_other() -> None:
    made = json.loads(Bundle(items=(Item(what="w", source="s", until=None, data=LIST),)).to_bytes())
    for bad in ({}, 7, made["items"][0] | {"data": "!"}):
        found = read(json.dumps(made | {"items": [bad, *made["items"]]}).encode())
        assert (found.endorsements, len(found.malformed)) == ((LIST,), 1)
        with pytest.raises(ParseError):
            read(json.dumps(made | {"items": [bad]}).encode())
        with pytest.raises(ParseError):
            Bundle.from_value(made | {"items": [bad, *made["items"]]})


@pytest.mark.parametrize("key", [jwk, lambda: KEY, lambda: pem("PUBLIC KEY", KEY), lambda: base64.b64encode(jwk())])
def test_anchors_are_keys(key: Callable[[], bytes]) -> None:
    assert read_anchors(key()) == Given(keys=(KEY,))


def test_anchors_are_certificates() -> None:
    for data in (CERTIFICATE, base64.b64encode(CERTIFICATE), pem("CERTIFICATE", CERTIFICATE)):
        assert read_anchors(data) == Given(endorsements=(CERTIFICATE,))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"text", b"{", b"{}", b"[1]", b"[" * 100_000, b'{"tcb_info": ""}', b'{"kty": "EC"}', jwk(x="AA")),
        Bundle(items=(Item(what="w", source="s", until=None, data=CERTIFICATE),)).to_bytes(),
        json.dumps({"vcekCert": "-----BEGIN CERTIFICATE-----"}).encode(),
        bytes(MAX_SIZE + 1),
    ],
    ids=range(12),
)
def test_nothing_else_is_an_anchor(data: bytes) -> None:
    with pytest.raises(ParseError):
        read_anchors(data)


def test_size() -> None:
    with pytest.raises(ParseError, match="at most"):
        read(bytes(MAX_SIZE + 1))


@given(st.binary(max_size=300))
def test_whatever_the_bytes(data: bytes) -> None:
    try:
        assert read(data) is not None
    except ParseError:
        return
