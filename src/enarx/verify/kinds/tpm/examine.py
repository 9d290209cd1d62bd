"""The checks of authenticity of TPM quotes (docs/attestation/tpm.md)."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from enarx.formats.evidence.tpm import RSASSA, Evidence, PublicKey
from enarx.verify.certificates import UNREADABLE, key_of, link, load, path, pin
from enarx.verify.examination import Examination, Ledger
from enarx.verify.kinds.tpm.claims import TpmClaims
from enarx.verify.kinds.tpm.roots import ATTESTATION_KEYS, MAKERS
from enarx.verify.result import Endorsements, Forecast
from enarx.verify.revocation import Authority, list_issued, revocation_list, standing, unused_list
from enarx.verify.roots import Roots, TrustAnchor
from enarx.verify.times import Period, check_times
from enarx.verify.unused import generally, unused
from enarx.verify.values import Unknown

WHERE = "docs/attestation/tpm.md"
CHECKS = ("key", "key-provenance", "key-validity", "revocation", "pcr-selection", "pcr-digest", "quote-signature")
"""The ids of all checks, in order."""

TPM_USES = "2.23.133.8."
"""The arc of TCG's purposes for TPM keys (TCG EK Credential Profile). Makers differ in which they use."""

HASHES = {"sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}
CURVES: dict[str, ec.EllipticCurve] = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1()}


def examine(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """1. The key signs only data that the TPM itself has made.
    2. It belongs to a TPM: the caller trusts it (`ATTESTATION_KEYS`), or a certificate for it leads to one of `MAKERS`. Not
       checked without either.
    3. These certificates are valid at `now` (unix seconds). A trusted key does not expire.
    4. No current list signed by one of their issuers revokes one of them. Not checked without a list.
    5. The values are those of exactly the registers that the quote selects.
    6. The quote's digest is that of the values.
    7. The key signed the quote.

    Certificates come with the evidence or among the endorsements, lists among the endorsements. ParseError if the format is
    wrong.
    """
    parsed = Evidence.from_bytes(evidence)
    key = _key(parsed.key)
    public = _der(key) if key is not None else b""
    known = bool(public) and TrustAnchor(public) in roots.keys(ATTESTATION_KEYS)
    certified = () if known else _certified(public, (*parsed.certificates, *endorsements), roots)
    anchor = "a key of the caller's" if known else f"TPM root {pin(certified[-1]).hex()[:16]}" if certified else "none"
    ledger = Ledger(CHECKS, anchor=anchor, where=WHERE, now=now)
    ledger.check(
        "key",
        lambda: key is not None and parsed.key.restricted and parsed.key.signs,
        wanted="a restricted key that signs",
        got=f"restricted {parsed.key.restricted}, signs {parsed.key.signs}",
        hint="an unrestricted key also signs quotes that the TPM did not make",
    )
    forecast = _provenance(ledger, certified, roots, now, known=known)
    authorities = _authorities(certified)
    forecast += _revocation(ledger, endorsements, authorities, now, known=known)
    _registers(ledger, parsed)
    ledger.check(
        "quote-signature",
        lambda: key is not None and _signed(key, parsed),
        wanted="made by the key",
        got="the quote",
        needs="key",
        hint="the quote was altered, or another TPM made it",
    )
    claims = _claims(parsed, public, certified=known or bool(certified), asked=bool(roots.keys(ATTESTATION_KEYS)))
    left = unused(endorsements, set(certified), lambda der: _unused(der, authorities, now))
    return ledger.examination(claims, forecast=forecast, unused=left)


def _authorities(certified: tuple[bytes, ...]) -> tuple[Authority, ...]:
    """The issuers of the certificates, each with the serial number of the certificate below it."""

    def authority(below: bytes, der: bytes) -> Authority | None:
        of, issuer = load(below), link(der)
        if of is None or issuer is None or not issuer.signs_lists:
            return None
        return Authority(issuer.subject, "its issuer", lambda one: list_issued(der, one), (of.serial_number,))

    return tuple([one for one in map(authority, certified, certified[1:]) if one is not None])


def _revocation(
    ledger: Ledger, endorsements: Endorsements, authorities: tuple[Authority, ...], now: int, *, known: bool
) -> tuple[Forecast, ...]:
    lists = tuple([one for one in map(revocation_list, endorsements) if one is not None])
    states = [one for one in (standing(lists, authority, now) for authority in authorities) if one.holds]
    ledger.check(
        "revocation",
        lambda: not any(one.revoked for one in states) if states else known or None,
        wanted="not revoked",
        got="a trusted key" if known else f"{len(states)} of {len(authorities)} issuers have a current list",
        hint="a maker has revoked the key's certificate, or one above it"
        if states
        else "makers' lists are not fetched: add them with --endorsements",
    )
    return tuple([Forecast("revocation", one.newest.end, "the revocation list ends") for one in states if one.newest])


def _unused(der: bytes, authorities: tuple[Authority, ...], now: int) -> str:
    parsed = revocation_list(der)
    return generally(der) if parsed is None else unused_list(parsed, authorities, now)


def _provenance(
    ledger: Ledger, certified: tuple[bytes, ...], roots: Roots, now: int, *, known: bool
) -> tuple[Forecast, ...]:
    ledger.check(
        "key-provenance",
        lambda: known or bool(certified) or (False if roots.keys(ATTESTATION_KEYS) else None),
        wanted="a trusted key, or one that a TPM's maker certifies",
        got=f"{len(roots.keys(ATTESTATION_KEYS))} keys given, {len(certified)} certificates up to a root",
        hint="name the TPM's attestation key, or its maker's root certificate, with --trust-anchor",
    )
    links = [made for made in map(link, certified) if made]
    if not links:
        ledger.check(
            "key-validity",
            lambda: known or None,
            wanted="a certificate, or a trusted key",
            got="a trusted key" if known else "neither",
        )
        return ()
    names = ("the certificate of the key", *[f"the certificate of its issuer {i}" for i in range(1, len(links))])
    periods = tuple([Period(one.start, one.end, name) for one, name in zip(links, names, strict=True)])
    check_times(
        ledger,
        "key-validity",
        periods,
        now,
        hint="the certificate of the key, or of an issuer, is not valid at this time",
    )
    return tuple([Forecast("key-validity", one.end, f"{one.name} ends") for one in periods])


def _certified(public: bytes, given: tuple[bytes, ...], roots: Roots) -> tuple[bytes, ...]:
    """The certificates from the key's own up to a maker's pinned root; empty if there is no such path.

    The first is not a CA's, and names a purpose of TPM keys: a maker's root may certify other things as well.
    """
    leaves = [
        der
        for der in dict.fromkeys(given)
        if key_of(der) == public
        and (parsed := link(der))
        and parsed.depth < 0
        and any(use.startswith(TPM_USES) for use in parsed.uses)
    ]
    return path(tuple(leaves), given, roots.pins(MAKERS))


def _registers(ledger: Ledger, evidence: Evidence) -> None:
    ledger.check(
        "pcr-selection",
        lambda: evidence.quote.selection == tuple(index for index, _ in evidence.pcrs),
        wanted=str(evidence.quote.selection),
        got=str(tuple(index for index, _ in evidence.pcrs)),
        hint="values of other registers than those quoted",
    )
    digest = hashlib.new(evidence.signature.hash, b"".join(value for _, value in evidence.pcrs)).digest()
    ledger.check(
        "pcr-digest",
        lambda: digest == evidence.quote.digest,
        wanted=evidence.quote.digest.hex(),
        got=digest.hex(),
        needs="pcr-selection",
        hint="the values of the registers were altered",
    )


Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def _key(public: PublicKey) -> Key | None:
    try:
        if public.curve:
            return ec.EllipticCurvePublicNumbers(*public.numbers, CURVES[public.curve]).public_key()
        return rsa.RSAPublicNumbers(*public.numbers).public_key()
    except UNREADABLE:
        return None


def _der(key: Key) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _signed(key: Key, evidence: Evidence) -> bool:
    signature, algorithm = evidence.signature, HASHES[evidence.signature.hash]
    if isinstance(key, rsa.RSAPublicKey) is not (signature.scheme == RSASSA):
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature.value, evidence.signed, PKCS1v15(), algorithm)
        else:
            key.verify(encode_dss_signature(signature.r, signature.s), evidence.signed, ec.ECDSA(algorithm))
    except (InvalidSignature, ValueError):
        return False
    return True


def _claims(evidence: Evidence, public: bytes, *, certified: bool, asked: bool) -> TpmClaims:
    quote = evidence.quote
    return TpmClaims(
        kind="tpm",
        measurement=quote.digest,
        host_data=bytes(32),
        report_data=quote.extra,
        debug=False,
        svn=0,
        chip_id=hashlib.sha256(public).digest(),
        ak_certified=certified if certified or asked else Unknown(reason="nobody says whose key it is"),
        pcr_bank=quote.bank,
        pcrs=tuple(f"{index}:{value.hex()}" for index, value in evidence.pcrs),
        firmware=quote.firmware_version,
        reset_count=quote.reset_count,
        restart_count=quote.restart_count,
        clock_safe=quote.safe,
    )
