"""X.509 certificates of any vendor: parsing untrusted bytes, keys, and paths to pinned roots."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384

from enarx.record import record
from enarx.verify.memo import memo

SHA2 = ("sha256", "sha384", "sha512")
ECDSA_SHA384 = ec.ECDSA(SHA384())
UNREADABLE = (
    ValueError,
    TypeError,  # for example a name with a BIT STRING in it
    KeyError,  # an unknown TLS feature
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""The exceptions that `cryptography` raises for malformed certificates, and for unsupported ones."""


@contextmanager
def quietly() -> Iterator[None]:
    """Silence warnings about flaws that vendors' certificates really have, such as serial number 0 and overlong names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@memo(max_bytes=1 << 20)
def load(der: bytes) -> x509.Certificate | None:
    """Parse a certificate; None if it is malformed.

    Serial number 0 is accepted, since every VCEK has it. Negative ones are not: no revocation list could name them.
    """
    try:
        with quietly():
            certificate = x509.load_der_x509_certificate(der)
            return certificate if certificate.serial_number >= 0 else None
    except UNREADABLE:
        return None


def pin(der: bytes) -> bytes:
    """The pin of a root: SHA-256 of its certificate."""
    return hashlib.sha256(der).digest()


@memo(max_bytes=1 << 19)
def key_of(der: bytes) -> bytes | None:
    """The key of a certificate, as DER SubjectPublicKeyInfo; None if it is malformed or of an unknown type."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # loads every cipher

    certificate = load(der)
    try:
        return (
            certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            if certificate
            else None
        )
    except UNREADABLE:
        return None


def p384_key(der: bytes) -> ec.EllipticCurvePublicKey | None:
    """The P-384 key of a certificate; None if it has another key."""
    return ec_key(der, "secp384r1")


@memo(max_bytes=1 << 19)
def ec_key(der: bytes, curve: str) -> ec.EllipticCurvePublicKey | None:
    """The elliptic-curve key of a certificate; None if it has no key of this curve."""
    certificate = load(der)
    try:
        key = certificate.public_key() if certificate else None
    except UNREADABLE:
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == curve else None


def p384_signed(certificate: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the certificate's key made the signature (DER) of the message, with SHA-384."""
    key = p384_key(certificate)
    if key is None:
        return False
    try:
        key.verify(signature, message, ECDSA_SHA384)
    except InvalidSignature:
        return False
    return True


@record()
class Link:
    """The fields of a certificate that checks need.

    start, end  unix seconds
    depth       number of CAs that may follow below; -1 for a certificate that is not a CA's
    signs_certificates, signs_lists, signs
                what the key may sign; everything if the certificate does not restrict it
    uses        purposes (EKU) as OIDs
    """

    start: int
    end: int
    depth: int
    signs_certificates: bool
    signs_lists: bool
    signs: bool
    uses: tuple[str, ...]
    subject: bytes
    issuer: bytes


KNOWN = x509.SubjectAlternativeName
"""A further extension that may be critical: no check depends on it."""


@memo(max_bytes=1 << 19)
def link(der: bytes) -> Link | None:
    """Parse a certificate; None if it is malformed or has an unknown critical extension."""
    certificate = load(der)
    if certificate is None:
        return None
    depth, usage, uses = -1, None, tuple[str, ...]()
    try:
        with quietly():
            for extension in certificate.extensions:
                if isinstance(extension.value, x509.BasicConstraints):
                    if extension.value.ca:
                        depth = 99 if extension.value.path_length is None else extension.value.path_length
                elif isinstance(extension.value, x509.KeyUsage):
                    usage = extension.value
                elif isinstance(extension.value, x509.ExtendedKeyUsage):
                    uses = tuple(oid.dotted_string for oid in extension.value)
                elif extension.critical and not isinstance(extension.value, KNOWN):
                    return None
            return Link(
                start=int(certificate.not_valid_before_utc.timestamp()),
                end=int(certificate.not_valid_after_utc.timestamp()),
                depth=depth,
                signs_certificates=usage is None or usage.key_cert_sign,
                signs_lists=usage is None or usage.crl_sign,
                signs=usage is None or usage.digital_signature,
                uses=uses,
                subject=certificate.subject.public_bytes(),
                issuer=certificate.issuer.public_bytes(),
            )
    except UNREADABLE:
        return None


def path(leaves: tuple[bytes, ...], others: tuple[bytes, ...], pins: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """A path from one of `leaves` to a pinned root, each certificate (DER) issued by the next; empty if there is none.

    All but the first may sign certificates, to the depth needed. Validity in time is not checked. The search starts at the
    pinned roots, so no signature of an untrusted key is verified: with many certificates, each costs one verification for
    every CA on a path to a root.
    """
    above = [der for der in dict.fromkeys(others) if (ca := link(der)) and ca.depth >= 0 and ca.signs_certificates]
    paths: list[tuple[bytes, ...]] = [(der,) for der in above if pin(der) in pins]
    placed = {der for (der,) in paths}
    for authorities in paths:  # grows, so the shortest paths come first
        for leaf in leaves if _reaches(authorities) else ():
            if issued(authorities[0], leaf):
                return (leaf, *authorities)
        below = [der for der in above if der not in placed and issued(authorities[0], der)]
        placed.update(below)
        paths += [(der, *authorities) for der in below]
    return ()


def _reaches(authorities: tuple[bytes, ...]) -> bool:
    """Whether the depth of each CA allows those before it and one certificate that is not a CA's."""
    links = map(link, authorities)
    return all(ca is not None and ca.depth >= below for below, ca in enumerate(links))


@memo(max_bytes=1 << 19)
def issued(by: bytes, of: bytes) -> bool:
    """Whether one certificate (DER) was signed by the other's key, with SHA-2, and names it as issuer."""
    issuer, certificate = load(by), load(of)
    assert issuer is not None and certificate is not None  # noqa: PT018  # the callers have parsed both
    try:
        if certificate.signature_hash_algorithm is None or certificate.signature_hash_algorithm.name not in SHA2:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def plain_list(crl: x509.CertificateRevocationList) -> bool:
    """Whether a revocation list covers everything that its issuer has revoked.

    Partial, delta and indirect lists have a critical extension (RFC 5280, 5.2).
    """
    return not any(extension.critical for extension in crl.extensions)
