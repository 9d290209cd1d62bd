"""What is the same for the certificates of all vendors: reading them, whoever made the bytes."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from enarx.record import record
from enarx.verify.memo import memo

SHA2 = ("sha256", "sha384", "sha512")
ECDSA_SHA384 = ec.ECDSA(SHA384())
UNREADABLE = (
    ValueError,
    TypeError,  # of a name with a BIT STRING in it, for one
    KeyError,  # of a TLS feature that nobody knows
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""Everything that `cryptography` raises over bytes that are no certificate, or one that it does not know all of."""


@contextmanager
def quietly() -> Iterator[None]:
    """`cryptography` warns of what vendors' certificates really have: serial number 0, names that are too long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@memo(max_bytes=1 << 20)
def load(der: bytes) -> x509.Certificate | None:
    """A certificate, None if the bytes are none. Serial number 0, which every VCEK has, is let pass; no list could name one
    below that.
    """
    try:
        with quietly():
            found = x509.load_der_x509_certificate(der)
            return found if found.serial_number >= 0 else None
    except UNREADABLE:
        return None


def pin(der: bytes) -> bytes:
    """What a root is pinned by: SHA-256 of the certificate."""
    return hashlib.sha256(der).digest()


@memo(max_bytes=1 << 19)
def key_of(der: bytes) -> bytes | None:
    """The key of a certificate, as DER SubjectPublicKeyInfo; None if it has none that is known."""
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
    """The key of a certificate, if that is one of P-384."""
    return ec_key(der, "secp384r1")


@memo(max_bytes=1 << 19)
def ec_key(der: bytes, curve: str) -> ec.EllipticCurvePublicKey | None:
    """The key of a certificate, if that is one of this curve."""
    certificate = load(der)
    try:
        key = certificate.public_key() if certificate else None
    except UNREADABLE:
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == curve else None


def p384_signed(certificate: bytes, signature: bytes, message: bytes) -> bool:
    """Did the certificate's key make the signature (DER) of the message, with SHA-384?"""
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
    """A certificate: dates in unix seconds; `depth` of authorities that may follow, -1 for one that is none. What its key may
    sign: certificates, revocation lists, anything else; all of it where the certificate does not say. `uses` are the purposes
    that it names (EKU), as OIDs.
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
"""What else may be critical: no check rests on it."""


@memo(max_bytes=1 << 19)
def link(der: bytes) -> Link | None:
    """What the checks need of a certificate; None if it is none, or has a critical extension that is not known here."""
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
    """Certificates from one of `leaves` on, each issued by the next, up to one that is pinned; empty if there is no such path.

    All but the first may sign certificates, to that depth. DER; nothing of time. The search begins at what is pinned, so no key
    that nobody vouches for is tried: however many certificates there are, each costs a signature for every authority vouched for.
    """
    above = [der for der in dict.fromkeys(others) if (one := link(der)) and one.depth >= 0 and one.signs_certificates]
    paths: list[tuple[bytes, ...]] = [(der,) for der in above if pin(der) in pins]
    placed = {der for (der,) in paths}
    for found in paths:  # grows: the shortest come first
        for leaf in leaves if _reaches(found) else ():
            if issued(found[0], leaf):
                return (leaf, *found)
        below = [der for der in above if der not in placed and issued(found[0], der)]
        placed.update(below)
        paths += [(der, *found) for der in below]
    return ()


def _reaches(authorities: tuple[bytes, ...]) -> bool:
    """May each of these stand above those before it, and above one more that is no authority?"""
    links = map(link, authorities)
    return all(one is not None and one.depth >= below for below, one in enumerate(links))


@memo(max_bytes=1 << 19)
def issued(by: bytes, of: bytes) -> bool:
    """Is one certificate (DER) signed by the other's key, with SHA-2, and of its name?"""
    issuer, certificate = load(by), load(of)
    assert issuer is not None and certificate is not None  # noqa: PT018  # they have been read
    try:
        if certificate.signature_hash_algorithm is None or certificate.signature_hash_algorithm.name not in SHA2:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def plain_list(crl: x509.CertificateRevocationList) -> bool:
    """Is it a list of everything its issuer has revoked? Of those that are not (of some certificates alone, of changes since
    another, of others' certificates) an extension says so that is critical (RFC 5280, 5.2).
    """
    return not any(extension.critical for extension in crl.extensions)
