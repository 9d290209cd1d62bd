"""Intel's certificates and revocation lists: their content, and their signatures.

Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, revision 1.5.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from enarx.record import record
from enarx.verify.certificates import ec_key, link, load, quietly
from enarx.verify.memo import memo
from enarx.verify.revocation import Authority, revocation_list
from enarx.verify.times import Period

ROOT, SIGNING, PCK = "Intel SGX Root CA", "Intel SGX TCB Signing", "Intel SGX PCK Certificate"
AUTHORITIES = ("Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA")
ALGORITHM = ec.ECDSA(SHA256())
OF_DIGEST = ec.ECDSA(Prehashed(SHA256()))


@record()
class Certificate:
    """A certificate. `name` is its common name; an `authority` may sign certificates and revocation lists."""

    der: bytes
    name: str
    subject: bytes
    issuer: bytes
    serial: int
    period: Period
    authority: bool


@memo(max_bytes=1 << 19)
def certificate(der: bytes) -> Certificate | None:
    """Parse a certificate; None if it is malformed or has an unknown critical extension."""
    parsed, known = load(der), link(der)
    if parsed is None or known is None:
        return None
    with quietly():
        names = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        serial = parsed.serial_number
    name = str(names[0].value) if len(names) == 1 else ""
    return Certificate(
        der=der,
        name=name,
        subject=known.subject,
        issuer=known.issuer,
        serial=serial,
        period=Period(known.start, known.end, f"the certificate {name}"),
        authority=known.depth >= 0 and known.signs_certificates and known.signs_lists,
    )


def key(der: bytes) -> ec.EllipticCurvePublicKey | None:
    """The P-256 key of a certificate; None if it has another key."""
    return ec_key(der, "secp256r1")


def point(raw: bytes) -> ec.EllipticCurvePublicKey | None:
    """A P-256 key from its coordinates, 32 bytes each; None if they are not a point."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\4" + raw)
    except ValueError:
        return None


def signed(
    public: ec.EllipticCurvePublicKey | None, signature: bytes, message: bytes, algorithm: ec.ECDSA = ALGORITHM
) -> bool:
    """Whether the key made the signature (DER) of the message, with SHA-256."""
    if public is None:
        return False
    try:
        public.verify(signature, message, algorithm)
    except InvalidSignature:
        return False
    return True


def signed_raw(
    public: ec.EllipticCurvePublicKey | None, signature: bytes, message: bytes, algorithm: ec.ECDSA = ALGORITHM
) -> bool:
    """Like `signed`, for a signature that is r | s, 32 big-endian bytes each."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return len(signature) == 64 and signed(public, encode_dss_signature(r, s), message, algorithm)


@memo(max_bytes=1 << 18)
def digest_signed(by: bytes, signature: bytes, digest: bytes) -> bool:
    """Check a signature like `signed_raw`, by a certificate's key, of the message with this SHA-256.

    Remembered, since many quotes come with the same collateral.
    """
    return signed_raw(key(by), signature, digest, OF_DIGEST)


@memo(max_bytes=1 << 18)
def issued(by: bytes, of: bytes) -> bool:
    """Whether a CA's certificate is the issuer of another certificate, by name and by signature."""
    issuer, subject, parsed = certificate(by), certificate(of), load(of)
    if not issuer or not subject or not parsed or not issuer.authority or issuer.subject != subject.issuer:
        return False
    of_form = parsed.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256
    return of_form and signed(key(by), parsed.signature, parsed.tbs_certificate_bytes)


@memo(max_bytes=1 << 18)
def list_signed(by: bytes, of: bytes) -> bool:
    """Whether the certificate's key signed the list: ECDSA with SHA-256."""
    parsed = revocation_list(of)
    assert parsed is not None  # it has been read
    of_form = parsed.crl.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256
    return of_form and signed(key(by), parsed.crl.signature, parsed.crl.tbs_certlist_bytes)


def authority(of: Certificate, serials: tuple[int, ...]) -> Authority:
    """A CA as the signer of revocation lists, with the serial numbers to look for on them."""

    def by_it(der: bytes) -> bool:
        return list_signed(of.der, der)

    return Authority(of.subject, of.name, by_it, serials)
