"""Intel quotes: SGX version 3, TDX versions 4 and 5. Every length is exact, which dcap-qvl does not look at.

Zeros may follow a quote and nothing else: drivers hand out the whole buffer that the quote was written into.

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
"""Types of body in version 5, with the TEE that each is of and its size in bytes."""

PCK_CHAIN, QE_REPORT = 5, 6
"""Types of certification data."""

_PEM = re.compile(rb"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")


@record()
class Quote:
    """One quote. `body` is the report of the enclave or of the trust domain, `chain` the PCK certificates in DER, leaf first,
    root last, and `pem` as they stand there; `signed` what the signature covers, `raw` everything, as received. `svns` are 4
    bytes of the header that nothing rests on: the certified report has them; `padding` is how many zeros follow.
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
        """ParseError for anything but a quote of these versions, with its certificates in it and nothing behind it."""
        if len(data) > MAX_SIZE:
            raise ParseError("quote-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
        read = Reader(data, WHAT, code=CODE)
        version, key_type, tee = read.number(2), read.number(2), read.number(4)
        if (version, tee) not in ((3, SGX), (4, TDX), (5, TDX)):
            raise ParseError("quote-version", f"version {version} for TEE {tee:#x}: not known", what=WHAT)
        if key_type != ECDSA_P256:
            raise ParseError("quote-key", f"attestation key of type {key_type}, wanted {ECDSA_P256}", what=WHAT)
        svns, vendor, user_data = read.take(4), read.take(16), read.take(20)
        body = read.take(_body_size(read, version, tee))
        signed = data[: read.at]
        inner = Reader(read.sized(4), WHAT, code=CODE)
        padding = read.rest()
        if any(padding):
            raise read.error("trailing", f"{len(padding)} bytes behind the end, which are no padding")
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
        """As received."""
        return self.raw


def encode(quote: Quote) -> bytes:
    """The bytes of a quote by its parts: what `from_bytes` reads, written back."""
    head = (
        _u(quote.version, 2) + _u(ECDSA_P256, 2) + _u(quote.tee, 4) + quote.svns + quote.qe_vendor_id + quote.user_data
    )
    if quote.version == 5:
        kind = next(kind for kind, body in BODIES.items() if body == (quote.tee, len(quote.body)))
        head += _u(kind, 2) + _u(len(quote.body), 4)
    inner = quote.qe_report + quote.qe_signature + _u(len(quote.qe_auth), 2) + quote.qe_auth
    inner += _u(PCK_CHAIN, 2) + _u(len(quote.pem), 4) + quote.pem
    if quote.version > 3:
        inner = _u(QE_REPORT, 2) + _u(len(inner), 4) + inner
    inner = quote.signature + quote.attestation_key + inner
    return head + quote.body + _u(len(inner), 4) + inner + bytes(quote.padding)


def _u(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def _body_size(read: Reader, version: int, tee: int) -> int:
    if version == 3:
        return SGX_BODY
    if version == 4:
        return TD10
    kind, size = read.number(2), read.number(4)
    if BODIES.get(kind) != (tee, size):
        raise ParseError("quote-body", f"body of type {kind} and {size} bytes: not known", what=WHAT)
    return size


def _chain(pem: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM text, at whose end a NUL may stand."""
    found, at = [], 0
    try:
        while match := _PEM.match(pem, at):
            found.append(base64.b64decode(b"".join(match[1].split()), validate=True))
            at = match.end()
    except binascii.Error:
        raise ParseError("quote-chain", "PCK certificates that are not base64", what=WHAT) from None
    if not found or pem[at:].strip(b"\0\r\n"):
        raise ParseError("quote-chain", "wanted the PCK certificates as PEM, and nothing else", what=WHAT)
    return tuple(found)


def _certification(read: Reader, kind: int) -> Reader:
    """The certification data that fills the rest, of this type."""
    found, data = read.number(2), read.sized(4)
    if found != kind:
        raise ParseError("quote-certification", f"certification data of type {found}, wanted {kind}", what=WHAT)
    read.end()
    return Reader(data, WHAT, code=CODE)


SGX_RESERVED = ((20, 32), (96, 128), (160, 192), (262, 304))
"""From, to."""


@record()
class SgxReport:
    """An enclave's report (Intel SDM 3D, 38.15): sizes in bytes as there."""

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
        """Of 384 bytes, reserved ones zero. ParseError."""
        if any(body[start:end].strip(b"\0") for start, end in SGX_RESERVED):
            raise ParseError("quote-reserved", "reserved bytes of an enclave's report are not zero", what=WHAT)
        return cls(
            cpu_svn=body[:16],
            misc_select=_number(body, 16, 4),
            isv_ext_prod_id=body[32:48],
            attributes=_number(body, 48, 8),
            xfrm=_number(body, 56, 8),
            mr_enclave=body[64:96],
            mr_signer=body[128:160],
            config_id=body[192:256],
            isv_prod_id=_number(body, 256, 2),
            isv_svn=_number(body, 258, 2),
            config_svn=_number(body, 260, 2),
            isv_family_id=body[304:320],
            report_data=body[320:384],
        )

    def to_bytes(self) -> bytes:
        """The bytes of it, by its fields."""
        own = (self.isv_prod_id, self.isv_svn, self.config_svn)
        return b"".join(
            (
                self.cpu_svn + _u(self.misc_select, 4) + bytes(12) + self.isv_ext_prod_id,
                _u(self.attributes, 8) + _u(self.xfrm, 8) + self.mr_enclave + bytes(32) + self.mr_signer + bytes(32),
                self.config_id + b"".join(_u(value, 2) for value in own) + bytes(42) + self.isv_family_id,
                self.report_data,
            )
        )


@record()
class TdReport:
    """A trust domain's report (Intel TDX module, TDREPORT_STRUCT); `tee_tcb_svn_2` and `mr_service_td` are empty in those of TDX
    1.0, `extension` in all but the extended ones.
    """

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: int
    xfam: int
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmrs: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    tee_tcb_svn_2: bytes
    mr_service_td: bytes
    extension: bytes

    @property
    def current_service_td(self) -> bytes:
        """The service domain that is bound now; empty in reports that are not extended."""
        return self.extension[181:229]

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Of 584, 648 or 885 bytes."""
        return cls(
            tee_tcb_svn=body[:16],
            mr_seam=body[16:64],
            mr_signer_seam=body[64:112],
            seam_attributes=body[112:120],
            td_attributes=_number(body, 120, 8),
            xfam=_number(body, 128, 8),
            mr_td=body[136:184],
            mr_config_id=body[184:232],
            mr_owner=body[232:280],
            mr_owner_config=body[280:328],
            rtmrs=(body[328:376], body[376:424], body[424:472], body[472:520]),
            report_data=body[520:584],
            tee_tcb_svn_2=body[584:600],
            mr_service_td=body[600:648],
            extension=body[648:],
        )

    def to_bytes(self) -> bytes:
        """The bytes of it, by its fields."""
        return b"".join(
            (
                self.tee_tcb_svn + self.mr_seam + self.mr_signer_seam + self.seam_attributes,
                _u(self.td_attributes, 8) + _u(self.xfam, 8) + self.mr_td + self.mr_config_id,
                self.mr_owner + self.mr_owner_config + b"".join(self.rtmrs) + self.report_data,
                self.tee_tcb_svn_2 + self.mr_service_td + self.extension,
            )
        )


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
