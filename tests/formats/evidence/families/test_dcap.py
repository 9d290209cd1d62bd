"""Intel quotes: every length is exact, and only zeros follow."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.evidence.families.dcap import MAX_SIZE, SGX, SGX_RESERVED, TDX, Quote, SgxReport, encode
from tests.forge import intel as forge

PEM = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(b"leaf") + b"\n-----END CERTIFICATE-----\n"


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def sized(kind: int, data: bytes) -> bytes:
    return number(kind, 2) + number(len(data), 4) + data


def quote(
    version: int = 4,
    tee: int = TDX,
    *,
    key: int = 2,
    body: bytes | None = None,
    kind: int = 5,
    chain: bytes = PEM,
    tail: bytes = b"",
) -> bytes:
    """A quote of the right form whose signatures are nothing."""
    if body is None:
        body = {3: bytes(384), 4: bytes(584), 5: number(3, 2) + number(648, 4) + bytes(648)}[version]
    certified = bytes(384) + bytes(64) + number(2, 2) + b"ab" + sized(kind, chain)
    inner = bytes(64) + bytes(64) + (certified if version == 3 else sized(6, certified))
    head = number(version, 2) + number(key, 2) + number(tee, 4) + bytes(40)
    return head + body + number(len(inner), 4) + inner + tail


@pytest.mark.parametrize(("version", "tee", "size"), [(3, SGX, 384), (4, TDX, 584), (5, TDX, 648)])
def test_forms(version: int, tee: int, size: int) -> None:
    data = quote(version, tee, tail=bytes(70))
    found = Quote.from_bytes(data)
    assert (found.version, found.tee, len(found.body), found.chain) == (version, tee, size, (b"leaf",))
    assert found.to_bytes() == data
    assert data.startswith(found.signed)
    assert found.body[-64:] == bytes(64) or tee == TDX


@pytest.mark.parametrize(
    "data",
    [
        bytes(MAX_SIZE + 1),
        quote(4, SGX),
        quote(3, TDX),
        quote(4)[:2] + quote(key=3)[2:],
        quote(5, body=number(4, 2) + number(648, 4) + bytes(648)),
        quote(5, body=number(3, 2) + number(584, 4) + bytes(648)),
        quote(kind=1),
        quote(chain=b""),
        quote(chain=PEM + b"x"),
        quote(chain=PEM.replace(b"bGVhZg==", b"bGVhZ")),
        quote(tail=b"x"),
        quote(tail=bytes(8) + b"x"),
        quote()[:-1],
        quote()[:700],
    ],
)
def test_what_is_no_quote(data: bytes) -> None:
    with pytest.raises(ParseError):
        Quote.from_bytes(data)


def test_a_nul_behind_the_chain() -> None:
    assert Quote.from_bytes(quote(chain=PEM + PEM + b"\0")).chain == (b"leaf", b"leaf")


@given(st.binary(max_size=1200))
def test_whatever_follows_the_header(data: bytes) -> None:
    with pytest.raises(ParseError):
        Quote.from_bytes(quote()[:48] + data)


QUOTES = [
    forge.quote(forge.SGX),
    forge.quote(forge.TDX) + bytes(7),
    forge.quote(version=5),
    forge.quote(version=5, body=forge.domain(885, last=(884, b"\7"), now=(829, b"\5"))),
]


def come_back(data: bytes) -> None:
    found = Quote.from_bytes(data)
    assert encode(found) == data == found.to_bytes()
    if found.tee == SGX:
        assert SgxReport.from_bytes(found.body).to_bytes() == found.body
    assert SgxReport.from_bytes(found.qe_report).to_bytes() == found.qe_report


@pytest.mark.parametrize("data", QUOTES, ids=["sgx", "tdx", "tdx 1.5", "tdx 1.5 extended"])
def test_fields_and_back(data: bytes) -> None:
    come_back(data)


def test_real_ones_come_back_to_the_byte(evidence_dir: Path) -> None:
    for kind in ("sgx", "tdx"):
        for path in sorted((evidence_dir / kind).glob("[!n]*/quote.bin")):
            come_back(path.read_bytes())


@pytest.mark.parametrize(("start", "end"), SGX_RESERVED)
def test_reserved_bytes_of_an_enclave_are_zero(start: int, end: int) -> None:
    for at in (start, end - 1):
        with pytest.raises(ParseError, match="reserved"):
            SgxReport.from_bytes(bytes(at) + b"\1" + bytes(383 - at))
