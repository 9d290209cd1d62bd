"""Intel quotes of versions 3, 4 and 5, and the report of an enclave: each quote contains the quoting enclave's.

Every length is exact, which dcap-qvl does not check.

Only zeros may follow a quote: drivers hand out the whole buffer that the quote was written into.

Intel SGX ECDSA QuoteGenReference, appendix A.1 (version 3); Intel TDX DCAP QuotingLibrary API, appendix A.3 (versions 4 and 5).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Self

from enarx.errors import ParseError
from enarx.formats.reader import Reader
from enarx.record import record

WHAT = "Intel quote"
CODE = "quote"
MAX_SIZE = 64 << 10
HEADER = 48
ECDSA_P256 = 2
SGX, TDX = 0, 0x81
SGX_BODY, TD10, TD15, TD15_EXTENDED = 384, 584, 648, 885
BODIES = {2: (TDX, TD10), 3: (TDX, TD15), 4: (TDX, TD15_EXTENDED)}
"""Types of body in version 5: the TEE and the size in bytes."""

PCK_CHAIN, QE_REPORT = 5, 6
"""Types of certification data."""

_PEM = re.compile(rb"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")


@record()
class Quote:
    """A quote.

    svns       4 bytes of the header that no check uses: the certified report has these versions too
    body       the report of the enclave or the trust domain
    chain      the PCK certificates in DER, leaf first, root last; `pem` has them as received
    padding    number of zeros after the quote
    signed     the bytes that the signature covers; `raw` has all bytes, as received
    """

    version: int
    tee: int
    svns: bytes
    qe_vendor_id: bytes
    user_data: bytes
    body: bytes
    signature: bytes
    attestation_key: bytes
    qe_report: bytes
    qe_signature: bytes
    qe_auth: bytes
    chain: tuple[bytes, ...]
    pem: bytes
    padding: int
    signed: bytes
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a quote that contains its certificates. ParseError for other versions, and for trailing bytes that are not zero."""
        if len(data) > MAX_SIZE:
            raise ParseError("quote-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
        read = Reader(data, WHAT, code=CODE)
        version, key_type, tee = read.number(2), read.number(2), read.number(4)
        if (version, tee) not in ((3, SGX), (4, TDX), (5, TDX)):
            raise ParseError("quote-version", f"version {version} for TEE {tee:#x} is unknown", what=WHAT)
        if key_type != ECDSA_P256:
            raise ParseError("quote-key", f"attestation key of type {key_type}, wanted {ECDSA_P256}", what=WHAT)
        svns, vendor, user_data = read.take(4), read.take(16), read.take(20)
        body = read.take(_body_size(read, version, tee))
        signed = data[: read.at]
        inner = Reader(read.sized(4), WHAT, code=CODE)
        padding = read.rest()
        if any(padding):
            raise read.error("trailing", f"{len(padding)} bytes after the end that are not zero")
        signature, key = inner.take(64), inner.take(64)
        if version > 3:
            inner = _certification(inner, QE_REPORT)
        report, qe_signature = inner.take(384), inner.take(64)
        auth = inner.sized(2)
        certified = _certification(inner, PCK_CHAIN)
        pem = certified.rest()
        return cls(
            version=version,
            tee=tee,
            svns=svns,
            qe_vendor_id=vendor,
            user_data=user_data,
            body=body,
            signature=signature,
            attestation_key=key,
            qe_report=report,
            qe_signature=qe_signature,
            qe_auth=auth,
            chain=_chain(pem),
            pem=pem,
            padding=len(padding),
            signed=signed,
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """The bytes that the quote was parsed from."""
        return self.raw


QUOTES = ((3, 2), (4, 2), (5, 2), (4, 3), (5, 3))
"""Version and type of attestation key at the start of a quote."""


def begins(data: bytes, tee: int) -> bool:
    """Whether the bytes begin like a quote of this TEE."""
    head = (int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little"))
    return len(data) >= HEADER and head in QUOTES and int.from_bytes(data[4:8], "little") == tee


def quote_of(data: bytes, tee: int) -> Quote:
    """Parse a quote of this TEE. ParseError."""
    quote = Quote.from_bytes(data)
    if quote.tee != tee:
        raise ParseError("quote-tee", f"a quote of TEE {quote.tee:#x}, wanted {tee:#x}", what=WHAT)
    return quote


def encode(quote: Quote) -> bytes:
    """The bytes of a quote, written from its fields: the inverse of `Quote.from_bytes`."""
    head = u(quote.version, 2) + u(ECDSA_P256, 2) + u(quote.tee, 4) + quote.svns + quote.qe_vendor_id + quote.user_data
    if quote.version == 5:
        kind = next(kind for kind, body in BODIES.items() if body == (quote.tee, len(quote.body)))
        head += u(kind, 2) + u(len(quote.body), 4)
    inner = quote.qe_report + quote.qe_signature + u(len(quote.qe_auth), 2) + quote.qe_auth
    inner += u(PCK_CHAIN, 2) + u(len(quote.pem), 4) + quote.pem
    if quote.version > 3:
        inner = u(QE_REPORT, 2) + u(len(inner), 4) + inner
    inner = quote.signature + quote.attestation_key + inner
    return head + quote.body + u(len(inner), 4) + inner + bytes(quote.padding)


def u(value: int, size: int) -> bytes:
    """The bytes of an unsigned integer, little-endian."""
    return value.to_bytes(size, "little")


def _body_size(read: Reader, version: int, tee: int) -> int:
    if version == 3:
        return SGX_BODY
    if version == 4:
        return TD10
    kind, size = read.number(2), read.number(4)
    if BODIES.get(kind) != (tee, size):
        raise ParseError("quote-body", f"body of type {kind} and {size} bytes is unknown", what=WHAT)
    return size


def _chain(pem: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM text, which a NUL may end."""
    certificates, at = [], 0
    try:
        while match := _PEM.match(pem, at):
            certificates.append(base64.b64decode(b"".join(match[1].split()), validate=True))
            at = match.end()
    except binascii.Error:
        raise ParseError("quote-chain", "PCK certificates that are not base64", what=WHAT) from None
    if not certificates or pem[at:].strip(b"\0\r\n"):
        raise ParseError("quote-chain", "wanted PCK certificates as PEM and nothing else", what=WHAT)
    return tuple(certificates)


def _certification(read: Reader, kind: int) -> Reader:
    """The certification data of this type, which takes up the rest."""
    data_kind, data = read.number(2), read.sized(4)
    if data_kind != kind:
        raise ParseError("quote-certification", f"certification data of type {data_kind}, wanted {kind}", what=WHAT)
    read.end()
    return Reader(data, WHAT, code=CODE)


SGX_RESERVED = ((20, 32), (96, 128), (160, 192), (262, 304))
"""From, to."""


@record()
class SgxReport:
    """An enclave's report (Intel SDM 3D, 38.15)."""

    cpu_svn: bytes
    misc_select: int
    isv_ext_prod_id: bytes
    attributes: int
    xfrm: int
    mr_enclave: bytes
    mr_signer: bytes
    config_id: bytes
    isv_prod_id: int
    isv_svn: int
    config_svn: int
    isv_family_id: bytes
    report_data: bytes

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Parse 384 bytes. ParseError unless the reserved ones are zero."""
        if any(body[start:end].strip(b"\0") for start, end in SGX_RESERVED):
            raise ParseError("quote-reserved", "reserved bytes of an enclave's report are not zero", what=WHAT)
        return cls(
            cpu_svn=body[:16],
            misc_select=number(body, 16, 4),
            isv_ext_prod_id=body[32:48],
            attributes=number(body, 48, 8),
            xfrm=number(body, 56, 8),
            mr_enclave=body[64:96],
            mr_signer=body[128:160],
            config_id=body[192:256],
            isv_prod_id=number(body, 256, 2),
            isv_svn=number(body, 258, 2),
            config_svn=number(body, 260, 2),
            isv_family_id=body[304:320],
            report_data=body[320:384],
        )

    def to_bytes(self) -> bytes:
        """The bytes of the report, written from its fields."""
        own = (self.isv_prod_id, self.isv_svn, self.config_svn)
        return b"".join(
            (
                self.cpu_svn + u(self.misc_select, 4) + bytes(12) + self.isv_ext_prod_id,
                u(self.attributes, 8) + u(self.xfrm, 8) + self.mr_enclave + bytes(32) + self.mr_signer + bytes(32),
                self.config_id + b"".join(u(value, 2) for value in own) + bytes(42) + self.isv_family_id,
                self.report_data,
            )
        )


def number(data: bytes, offset: int, size: int) -> int:
    """The little-endian unsigned integer at an offset."""
    return int.from_bytes(data[offset : offset + size], "little")
