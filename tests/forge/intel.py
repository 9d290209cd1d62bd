"""A vendor of SGX and TDX that signs whatever is wanted: quotes, certificates, revocation lists, collateral."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

NOW = 1_780_000_000
SGX, TDX = 0, 0x81
ROOT, PLATFORM, PROCESSOR = "Intel SGX Root CA", "Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"
PCK, SIGNING = "Intel SGX PCK Certificate", "Intel SGX TCB Signing"
SERIALS = {ROOT: 1, PLATFORM: 2, PROCESSOR: 3, PCK: 4, SIGNING: 5}
INTEL_QE = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
ARC = bytes.fromhex("2a864886f84d010d01")
FMSPC, PCE_ID = bytes.fromhex("00906ed50000"), bytes(2)
COMPONENTS, PCE_SVN, QE_SVN = (5,) * 16, 11, 8
MODULE = bytes([5, 1]) + bytes([3]) * 14
"""TEE_TCB_SVN: version 5 of the TDX module of major version 1."""

Json = dict[str, Any]


@lru_cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    """One for each name."""
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache(maxsize=1024)
def signed(by: str, message: bytes) -> bytes:
    """A signature as its two halves; kept, so that a quote made twice is the same to the byte."""
    r, s = decode_dss_signature(key(by).sign(message, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def certificate(
    name: str,
    by: str,
    *,
    authority: bool = False,
    signer: str = "",
    public: str = "",
    start: int = NOW - 1000,
    end: int = NOW + 1_000_000,
    extension: bytes | None = None,
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> bytes:
    """DER of `name`'s certificate in the name of `by`; `signer` and `public` name other keys than theirs."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(by))
        .public_key(key(public or name).public_key())
        .serial_number(SERIALS.get(name, 99))
        .not_valid_before(datetime.fromtimestamp(start, UTC))
        .not_valid_after(datetime.fromtimestamp(end, UTC))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if extension is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113741.1.13.1"), extension), critical=False
        )
    for one, critical in more:
        builder = builder.add_extension(one, critical=critical)
    return builder.sign(key(signer or by), SHA256()).public_bytes(Encoding.DER)


def usage(*, certificates: bool = False, lists: bool = False, signs: bool = False) -> x509.KeyUsage:
    """What a key may be used for."""
    return x509.KeyUsage(
        digital_signature=signs,
        key_cert_sign=certificates,
        crl_sign=lists,
        **dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False),
        **dict.fromkeys(("encipher_only", "decipher_only"), False),
    )


ODD = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"")
"""An extension that nobody knows."""


def named(name: str) -> x509.Name:
    """A name as the vendor's are."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@lru_cache
def root() -> bytes:
    """The root's certificate."""
    return certificate(ROOT, ROOT, authority=True)


@lru_cache
def platform() -> bytes:
    """The certificate of the machines' authority."""
    return certificate(PLATFORM, ROOT, authority=True)


@lru_cache
def signing() -> bytes:
    """The certificate of who signs collateral."""
    return certificate(SIGNING, ROOT)


def tlv(tag: int, inside: bytes) -> bytes:
    """An element of DER, of less than 64 KiB."""
    size = len(inside)
    wide = (size.bit_length() + 7) // 8
    head = bytes([size]) if size < 128 else bytes([0x80 + wide]) + size.to_bytes(wide, "big")
    return bytes([tag]) + head + inside


def field(arcs: bytes, value: bytes) -> bytes:
    """A SEQUENCE of an OID under Intel's arc, and a value."""
    return tlv(0x30, tlv(0x06, ARC + arcs) + value)


def integer(value: int) -> bytes:
    """A DER INTEGER."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def machine(
    *,
    components: Iterable[int] = COMPONENTS,
    pce_svn: int = PCE_SVN,
    fmspc: bytes = FMSPC,
    pce_id: bytes = PCE_ID,
    ppid: bytes = bytes([7]) * 16,
    instance: bytes | None = bytes([9]) * 16,
    flags: tuple[bool, ...] | None = (True, True, False),
) -> bytes:
    """The extension of a PCK certificate."""
    versions = [field(bytes([2, i]), integer(v)) for i, v in enumerate((*components, pce_svn), 1)]
    versions.append(field(b"\2\x12", tlv(0x04, bytes(components))))
    fields = [
        field(b"\1", tlv(0x04, ppid)),
        field(b"\2", tlv(0x30, b"".join(versions))),
        field(b"\3", tlv(0x04, pce_id)),
        field(b"\4", tlv(0x04, fmspc)),
        field(b"\5", tlv(0x0A, b"\1")),
    ]
    if instance is not None:
        fields.append(field(b"\6", tlv(0x04, instance)))
    if flags is not None:
        said = b"".join(field(bytes([7, i]), tlv(0x01, b"\xff" if f else b"\0")) for i, f in enumerate(flags, 1))
        fields.append(field(b"\7", tlv(0x30, said)))
    return tlv(0x30, b"".join(fields))


@lru_cache
def pck() -> bytes:
    """The machine's certificate."""
    return certificate(PCK, PLATFORM, extension=machine())


def pem(*chain: bytes) -> str:
    """Certificates as text."""
    text = (base64.encodebytes(der).decode() for der in chain)
    return "".join(f"-----BEGIN CERTIFICATE-----\n{one}-----END CERTIFICATE-----\n" for one in text)


def put(size: int, **fields: tuple[int, bytes]) -> bytes:
    """Bytes of that size with these at their offsets."""
    out = bytearray(size)
    for offset, value in fields.values():
        out[offset : offset + len(value)] = value
    return bytes(out)


def enclave(**fields: tuple[int, bytes]) -> bytes:
    """An enclave's report, 384 bytes."""
    usual = {
        "attributes": (48, bytes([5]) + bytes(7)),
        "xfrm": (56, bytes([7]) + bytes(7)),
        "measurement": (64, b"\1" * 32),
        "signer": (128, b"\2" * 32),
        "product": (256, b"\1\0"),
        "svn": (258, QE_SVN.to_bytes(2, "little")),
        "report_data": (320, b"\3" * 64),
    }
    return put(384, **{**usual, **fields})


def domain(size: int = 584, **fields: tuple[int, bytes]) -> bytes:
    """A trust domain's report."""
    usual = {
        "tee_tcb_svn": (0, MODULE),
        "td_attributes": (120, (1 << 28).to_bytes(8, "little")),
        "xfam": (128, b"\7" + bytes(7)),
        "mr_td": (136, b"\1" * 48),
        "rtmr0": (328, b"\4" * 48),
        "report_data": (520, b"\3" * 64),
    }
    if size > 584:
        usual["tee_tcb_svn_2"] = (584, MODULE)
    return put(size, **{**usual, **fields})


def quote(
    tee: int = TDX,
    *,
    version: int = 0,
    body: bytes | None = None,
    vendor: bytes = INTEL_QE,
    reported: dict[str, tuple[int, bytes]] | None = None,
    auth: bytes = b"\0" * 32,
    chain: tuple[bytes, ...] | None = None,
    by: str = "attestation",
    qe_by: str = PCK,
) -> bytes:
    """A quote; `by` and `qe_by` name the keys that sign it and the quoting enclave's report."""
    version = version or (3 if tee == SGX else 4)
    body = body or (enclave() if tee == SGX else domain(648 if version == 5 else 584))
    head = version.to_bytes(2, "little") + b"\2\0" + tee.to_bytes(4, "little") + bytes(4) + vendor + bytes(20)
    if version == 5:
        head += {648: 3, 885: 4}.get(len(body), 2).to_bytes(2, "little") + len(body).to_bytes(4, "little")
    public = key("attestation").public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    report_data = hashlib.sha256(public + auth).digest() + bytes(32)
    report = enclave(**{"report_data": (320, report_data), **(reported or {})})
    certificates = pem(*(chain or (pck(), platform(), root()))).encode() + b"\0"
    certified = report + signed(qe_by, report) + sized(auth, 2) + b"\5\0" + sized(certificates, 4)
    data = signed(by, head + body) + public + (certified if version == 3 else b"\6\0" + sized(certified, 4))
    return head + body + sized(data, 4)


def sized(data: bytes, size: int) -> bytes:
    """Data with its length before it."""
    return len(data).to_bytes(size, "little") + data


def level(
    status: str = "UpToDate", *, svn: int = 0, date: str = "2026-01-01", advisories: tuple[str, ...] = ()
) -> Json:
    """A level of an enclave or a module."""
    found: Json = {"tcb": {"isvsvn": svn}, "tcbDate": f"{date}T00:00:00Z", "tcbStatus": status}
    return {**found, "advisoryIDs": list(advisories)} if advisories else found


def platform_level(
    status: str = "UpToDate",
    *,
    components: Iterable[int] = COMPONENTS,
    pce_svn: int = PCE_SVN,
    tdx: Iterable[int] | None = (0,) * 16,
    **more: Any,
) -> Json:
    """A level of a platform."""
    tcb: Json = {"sgxtcbcomponents": [{"svn": v} for v in components], "pcesvn": pce_svn}
    if tdx is not None:
        tcb["tdxtcbcomponents"] = [{"svn": v} for v in tdx]
    return {**level(status, **more), "tcb": tcb}


def info(tee: int = TDX, **changes: Any) -> Json:
    """TCB info."""
    module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "ff" * 8}
    value: Json = {
        "id": "TDX" if tee == TDX else "SGX",
        "version": 3,
        "issueDate": date(NOW - 1000),
        "nextUpdate": date(NOW + 1000),
        "fmspc": FMSPC.hex(),
        "pceId": PCE_ID.hex(),
        "tcbType": 0,
        "tcbEvaluationDataNumber": 17,
        "tcbLevels": [platform_level(tdx=(0,) * 16 if tee == TDX else None)],
    }
    if tee == TDX:
        value["tdxModule"] = module
        value["tdxModuleIdentities"] = [{"id": "TDX_01", **module, "tcbLevels": [level(svn=5)]}]
    return {**value, **changes}


def identity(tee: int = TDX, **changes: Any) -> Json:
    """The quoting enclave's identity."""
    return {
        "id": "TD_QE" if tee == TDX else "QE",
        "version": 2,
        "issueDate": date(NOW - 1000),
        "nextUpdate": date(NOW + 1000),
        "tcbEvaluationDataNumber": 18,
        "miscselect": "00" * 4,
        "miscselectMask": "ff" * 4,
        "attributes": "05" + "00" * 7 + "07" + "00" * 7,
        "attributesMask": "ff" * 8 + "00" * 8,
        "mrsigner": "02" * 32,
        "isvprodid": 1,
        "tcbLevels": [level(svn=QE_SVN)],
        **changes,
    }


def date(when: int) -> str:
    """A time in the form that collateral uses."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=256)
def revoked(
    by: str,
    *serials: int,
    signer: str = "",
    start: int = NOW - 1000,
    end: int = NOW + 1000,
    more: tuple[x509.ExtensionType, ...] = (),
) -> x509.CertificateRevocationList:
    """A list of revoked certificates."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(named(by))
        .last_update(datetime.fromtimestamp(start, UTC))
        .next_update(datetime.fromtimestamp(end, UTC))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key(by).public_key()), critical=False)
    )
    for serial in serials:
        one = x509.RevokedCertificateBuilder().serial_number(serial)
        builder = builder.add_revoked_certificate(one.revocation_date(datetime.fromtimestamp(NOW - 2000, UTC)).build())
    for extension in more:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key(signer or by), SHA256())


def der(one: x509.CertificateRevocationList) -> bytes:
    """A list as it stands in a file."""
    return one.public_bytes(Encoding.DER)


def collateral(
    tee: int = TDX,
    *,
    tcb: Json | None = None,
    qe: Json | None = None,
    info_by: str = SIGNING,
    identity_by: str = SIGNING,
    info_signer: bytes | None = None,
    machines: x509.CertificateRevocationList | None = None,
    authorities: x509.CertificateRevocationList | None = None,
    change: Callable[[Json], Json] = dict,
) -> bytes:
    """Collateral as JSON; `change` makes another of it at the end."""
    info_text, identity_text = (json.dumps(value) for value in (tcb or info(tee), qe or identity(tee)))
    value: Json = {
        "pck_crl_issuer_chain": pem(platform(), root()),
        "root_ca_crl": (revoked(ROOT) if authorities is None else authorities).public_bytes(Encoding.DER).hex(),
        "pck_crl": (revoked(PLATFORM) if machines is None else machines).public_bytes(Encoding.DER).hex(),
        "tcb_info_issuer_chain": pem(info_signer or signing(), root()),
        "tcb_info": info_text,
        "tcb_info_signature": signed(info_by, info_text.encode()).hex(),
        "qe_identity_issuer_chain": pem(signing(), root()),
        "qe_identity": identity_text,
        "qe_identity_signature": signed(identity_by, identity_text.encode()).hex(),
    }
    return json.dumps(change(value)).encode()
