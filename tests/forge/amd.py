"""AMD as an endorser that certifies whatever is wanted: keys of chips, issuers, revocation lists."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from enarx.verify.families.amd import OID, PARTS

NOW = 1_780_000_000
START = datetime.fromtimestamp(NOW - 86400, UTC)
END = datetime.fromtimestamp(NOW + 86400 * 300, UTC)
CHIP = bytes(range(1, 65))
TCB = {"genoa": bytes([10, 0, 0, 0, 0, 0, 25, 84]), "turin": bytes([1, 1, 0, 2, 0, 0, 0, 71])}
PSS = padding.PSS(mgf=padding.MGF1(SHA384()), salt_length=48)


@lru_cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """One for each name; of 2048 bits, for it is made in every run."""
    return rsa.generate_private_key(65537, 2048)


@lru_cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """One for each name."""
    return ec.generate_private_key(ec.SECP384R1())


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    subject: str,
    issuer: str,
    key: Any,
    by: rsa.RSAPrivateKey,
    *,
    serial: int = 7,
    start: datetime = START,
    end: datetime = END,
    extensions: dict[str, bytes] | None = None,
    absolute: dict[str, bytes] | None = None,
    critical: dict[str, bytes] | None = None,
) -> bytes:
    """DER of a certificate."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for oid, value in ({OID + end: value for end, value in (extensions or {}).items()} | (absolute or {})).items():
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False)
    for oid, value in (critical or {}).items():
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=True)
    return builder.sign(by, SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER)


def ark(product: str = "Genoa", **more: Any) -> bytes:
    name = f"ARK-{product}"
    return certificate(name, name, rsa_key(name), more.pop("by", rsa_key(name)), **more)


def ask(product: str = "Genoa", *, vlek: bool = False, **more: Any) -> bytes:
    name = f"SEV-VLEK-{product}" if vlek else f"SEV-{product}"
    return certificate(name, f"ARK-{product}", rsa_key(name), more.pop("by", rsa_key(f"ARK-{product}")), **more)


def integer(value: int) -> bytes:
    body = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return bytes([2, len(body)]) + body


def text(value: str) -> bytes:
    return bytes([0x16, len(value)]) + value.encode()


def tcb_parts(tcb: bytes, product: str) -> dict[str, int]:
    if product == "Turin":
        return {"fmc": tcb[0], "bootloader": tcb[1], "tee": tcb[2], "snp": tcb[3], "microcode": tcb[7]}
    return {"bootloader": tcb[0], "tee": tcb[1], "snp": tcb[6], "microcode": tcb[7]}


def vcek(
    product: str = "Genoa",
    *,
    tcb: bytes = TCB["genoa"],
    chip: bytes = CHIP,
    csp: str = "",
    said: str = "",
    key: Any = None,
    **more: Any,
) -> bytes:
    """A VCEK, or with a provider's name a VLEK."""
    extensions = {PARTS[name]: integer(value) for name, value in tcb_parts(tcb, product).items()}
    extensions["2"] = text(said or f"{product}-B1")
    extensions |= {"5": text(csp)} if csp else {"4": chip}
    extensions |= more.pop("extensions_over", {})
    kind = "VLEK" if csp else "VCEK"
    issuer = f"SEV-VLEK-{product}" if csp else f"SEV-{product}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return certificate(
            f"SEV-{kind}",
            issuer,
            key or ec_key("chip"),
            more.pop("by", rsa_key(issuer)),
            extensions=extensions,
            **more,
        )


def table(*certificates: bytes) -> bytes:
    """A host's table of certificates, behind a report; all under the VCEK's GUID, which nobody is held to."""
    guid = bytes.fromhex("63da758de6644564adc5f4b93be8accd")
    head, at, body = b"", 24 * (len(certificates) + 1), b""
    for der in certificates:
        head += guid + (at + len(body)).to_bytes(4, "little") + len(der).to_bytes(4, "little")
        body += der
    return head + bytes(24) + body


def crl(
    serials: Iterable[int] = (),
    *,
    product: str = "Genoa",
    by: rsa.RSAPrivateKey | None = None,
    start: datetime = START,
    end: datetime = END,
    more: tuple[x509.ExtensionType, ...] = (),
) -> bytes:
    """DER of a revocation list of the root."""
    name = f"ARK-{product}"
    builder = x509.CertificateRevocationListBuilder().issuer_name(named(name)).last_update(start).next_update(end)
    for serial in serials:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(start).build()
        )
    for extension in more:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(by or rsa_key(name), SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER)


def earlier(days: int) -> datetime:
    return START - timedelta(days=days)
