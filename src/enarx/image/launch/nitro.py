"""PCRs of AWS Nitro Enclaves, computed from an image or its parts, and the signature of an image.

A register is zeros extended with one digest. PCR0 covers kernel, command line and all ramdisks; PCR1 kernel, command line
and first ramdisk; PCR2 the other ramdisks; PCR8 the signer's certificate (AWS, "Cryptographic attestation").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from enarx.errors import ParseError, UsageError, VerificationError
from enarx.formats.launch import eif
from enarx.formats.launch.eif import Eif
from enarx.image.launch.registers import extend, zeros
from enarx.record import replace


def pcrs(image: Eif) -> dict[int, bytes]:
    """PCR 0, 1 and 2, and 8 for a signed image; ParseError if the signature section is malformed."""
    values = {
        0: whole(image.kernel, image.cmdline, image.ramdisks),
        1: whole(image.kernel, image.cmdline, image.ramdisks[:1]),
        2: further(image.ramdisks),
    }
    signers = certificates(image)
    return values | {8: signer(signers[0])} if signers else values


def whole(kernel: bytes, cmdline: bytes, ramdisks: tuple[bytes, ...]) -> bytes:
    """The register over kernel, command line and ramdisks: PCR0 with all ramdisks, PCR1 with the first."""
    return _register((kernel, cmdline, *ramdisks))


def further(ramdisks: tuple[bytes, ...]) -> bytes:
    """PCR2 of an image with these ramdisks; it covers all but the first."""
    return _register(ramdisks[1:])


def certificates(image: Eif) -> tuple[bytes, ...]:
    """The signers' certificates in PEM; empty if the image is not signed. ParseError."""
    return tuple(pem for pem, _ in eif.signatures(image.signature)) if image.signature else ()


def signer(pem: bytes) -> bytes:
    """PCR8 of a signer, which covers the DER of the first certificate; ParseError."""
    return _register((_certificate(pem).public_bytes(serialization.Encoding.DER),))


def verify(image: Eif) -> None:
    """Require signatures over the image's PCR0 by the keys of their certificates; VerificationError, ParseError.

    This does not identify the signer, which PCR8 does, and does not check whether a certificate has expired.
    """
    if not image.signature:
        raise VerificationError("eif-signature", "the image is not signed")
    for pem, message in eif.signatures(image.signature):
        index, value = eif.signed_register(message.payload)
        if (index, value) != (0, pcrs(image)[0]):
            raise VerificationError(
                "eif-signature", f"a signature over PCR{index} {value.hex()[:16]}, which this image does not have"
            )
        key = _key(pem)
        if message.algorithm != "ES384" or not isinstance(key, ec.EllipticCurvePublicKey):
            raise VerificationError("eif-signature", "not signed with ES384")
        half = len(message.signature) // 2
        r, s = (int.from_bytes(part, "big") for part in (message.signature[:half], message.signature[half:]))
        try:
            key.verify(encode_dss_signature(r, s), message.signed, ec.ECDSA(hashes.SHA384()))
        except InvalidSignature as e:
            raise VerificationError("eif-signature", "the signature of the image is invalid") from e


def sign(image: Eif, pem: bytes, key: ec.EllipticCurvePrivateKey) -> Eif:
    """The image with a new signature; UsageError unless the key is on P-384 and belongs to the certificate."""
    if not isinstance(key.curve, ec.SECP384R1) or _key(pem) != key.public_key():
        raise UsageError("eif-key", "the key is not on P-384, or does not belong to the certificate")
    plain = replace(image, signature=b"", order=tuple(type for type in image.order if type != eif.SIGNATURE))

    def signed(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")

    message = eif.sign_message(eif.register_payload(0, pcrs(plain)[0]), signed)
    return replace(plain, signature=eif.signature_section(((pem, message),)), order=(*plain.order, eif.SIGNATURE))


def _register(parts: Iterable[bytes]) -> bytes:
    sha = hashlib.sha384()
    for part in parts:
        sha.update(part)
    return extend(zeros(), sha.digest())


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError as e:
        raise _unreadable() from e


def _key(pem: bytes) -> object:
    try:
        return _certificate(pem).public_key()
    except (ValueError, UnsupportedAlgorithm) as e:
        raise _unreadable() from e


def _unreadable() -> ParseError:
    return ParseError(
        "eif-certificate", "EIF: no PEM certificate, or one with an unknown type of key", what="EIF signature section"
    )
