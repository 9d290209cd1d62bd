"""The checks of authenticity of CCA tokens (docs/attestation/cca.md)."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key

from enarx.errors import ParseError
from enarx.formats.evidence.cca import HASHES, Evidence
from enarx.formats.evidence.families.cose import Sign1, decode
from enarx.verify.certificates import UNREADABLE
from enarx.verify.examination import Examination, Ledger
from enarx.verify.kinds.cca.claims import CcaClaims
from enarx.verify.kinds.cca.roots import PLATFORM_KEYS
from enarx.verify.result import Endorsements
from enarx.verify.roots import Roots, TrustAnchor
from enarx.verify.unused import generally, unused

WHERE = "docs/attestation/cca.md"
CHECKS = ("platform-signature", "realm-key-hash", "realm-key", "realm-signature")
"""The ids of all checks, in order."""

SECURED = range(0x3000, 0x3100)
CURVES: dict[int, ec.EllipticCurve] = {1: ec.SECP256R1(), 2: ec.SECP384R1(), 3: ec.SECP521R1()}
"""Curves by their numbers in a COSE_Key (RFC 9053, 7.1)."""

ALGORITHMS = {"ES256": ("secp256r1", SHA256()), "ES384": ("secp384r1", SHA384()), "ES512": ("secp521r1", SHA512())}


def examine(
    evidence: bytes,
    *,
    endorsements: Endorsements,
    roots: Roots,
    now: int,
) -> Examination:
    """1. A trusted key signed the platform token.
    2. The platform token's nonce is the hash of the realm's key, as received in the realm token.
    3. The realm's key is a point, raw or as a COSE_Key.
    4. It signed the realm token.

    Arm publishes no root: `PLATFORM_KEYS` are keys that the caller trusts. ParseError if the format is wrong.
    """
    token = Evidence.from_bytes(evidence)
    signer = next((key for key in map(_given, roots.keys(PLATFORM_KEYS)) if key and _signed(key, token.platform)), None)
    rak = _realm_key(token.rak)
    anchor = "a key of the caller's" if signer else "none"
    ledger = Ledger(CHECKS, anchor=anchor, where=WHERE, now=now)
    ledger.check(
        "platform-signature",
        lambda: None if not roots.keys(PLATFORM_KEYS) else signer is not None,
        wanted="signed by a trusted key",
        got=f"{len(roots.keys(PLATFORM_KEYS))} keys given",
        hint="Arm publishes no root: name the key of the platform's maker with --trust-anchor",
    )
    digest = hashlib.new(token.rak_hash.replace("-", ""), token.rak).digest() if token.rak_hash in HASHES else b""
    ledger.check(
        "realm-key-hash",
        lambda: digest == token.platform_nonce,
        wanted=token.platform_nonce.hex(),
        got=digest.hex() or f"unknown hash {token.rak_hash[:20]!a}",
        needs="platform-signature",
        hint="the realm token belongs to another platform",
    )
    ledger.check("realm-key", lambda: rak is not None, wanted="a point of P-256, P-384 or P-521", got=token.rak.hex())
    ledger.check(
        "realm-signature",
        lambda: rak is not None and _signed(rak, token.realm),
        wanted="signed by the realm's key",
        got=token.realm.algorithm,
        needs="realm-key",
        hint="the token was altered",
    )
    return ledger.examination(_claims(token), forecast=(), unused=unused(endorsements, set(), generally))


def _given(anchor: TrustAnchor) -> ec.EllipticCurvePublicKey | None:
    try:
        key = load_der_public_key(anchor.key)
    except UNREADABLE:
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def _realm_key(data: bytes) -> ec.EllipticCurvePublicKey | None:
    """A key from a raw point (SEC 1, uncompressed) or a COSE_Key (RFC 9052, 7); None for anything else."""
    try:
        if data[:1] == b"\x04":
            size = len(data) // 2
            curve = next((curve for curve in CURVES.values() if (curve.key_size + 7) // 8 == size), None)
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, data) if curve else None
        match decode(data, "COSE_Key"):
            case {1: 2, -1: int(number), -2: bytes(x), -3: bytes(y)} if number in CURVES:
                curve = CURVES[number]
                return ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve).public_key()
    except (ParseError, *UNREADABLE):
        return None
    return None


def _signed(key: ec.EllipticCurvePublicKey, token: Sign1) -> bool:
    curve, algorithm = ALGORITHMS[token.algorithm]
    half = len(token.signature) // 2
    if key.curve.name != curve or len(token.signature) != 2 * ((key.key_size + 7) // 8):
        return False
    r, s = int.from_bytes(token.signature[:half]), int.from_bytes(token.signature[half:])
    try:
        key.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _claims(token: Evidence) -> CcaClaims:
    personal = token.personalization
    return CcaClaims(
        kind="cca",
        measurement=token.rim,
        host_data=personal if any(personal[32:]) else personal[:32],
        report_data=token.challenge,
        debug=token.lifecycle not in SECURED,
        svn=0,
        chip_id=token.instance_id,
        rem0=token.rems[0],
        rem1=token.rems[1],
        rem2=token.rems[2],
        rem3=token.rems[3],
        profile=token.profile,
        lifecycle=token.lifecycle,
        implementation_id=token.implementation_id,
        platform_config=token.config,
        software_components=tuple(f"{c.type}:{c.measurement.hex()}:{c.signer.hex()}" for c in token.components),
    )
