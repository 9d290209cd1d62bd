"""AMD's certificates: what they say, and whether a chain holds.

Versioned Chip Endorsement Key Certificate and KDS Interface Specification (AMD 57230, 1.00), tables 8 to 11 and 3.
AMD signs with RSA-PSS, which `cryptography.x509.verification` does not take: each signature is verified by itself.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509.oid import NameOID

from enarx.record import record
from enarx.verify.certificates import UNREADABLE, link, load, plain_list, quietly
from enarx.verify.result import Forecast

OID = "1.3.6.1.4.1.3704.1."
PRODUCT, HWID, CSP_ID = "2", "4", "5"
PARTS = {"fmc": "3.9", "bootloader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8"}
FAMILY = {"milan": "milan", "genoa": "genoa", "bergamo": "genoa", "siena": "genoa", "turin": "turin"}
MAX_DER = 16 << 10
MAX_CRL = 1 << 20
PSS = padding.PSS(mgf=padding.MGF1(SHA384()), salt_length=48)


@record()
class Certificate:
    """One of AMD's. `role` is ark, ask, asvk, vcek or vlek, empty for what is none of these; `product` as its name or
    extension says, in lower case, Genoa for its family. The rest is what VCEKs and VLEKs say of the machine; -1 for a
    TCB part that is not there.
    """

    role: str
    product: str
    name: str
    ends: Forecast
    der: bytes
    issuer: bytes
    subject: bytes
    start: int
    end: int
    serial: int
    parts: tuple[int, ...] = ()
    hwid: bytes = b""
    csp_id: str = ""


@record()
class Endorsed:
    """Endorsements sorted: certificates, and revocation lists in DER."""

    certificates: tuple[Certificate, ...]
    crls: tuple[bytes, ...]


@lru_cache(maxsize=64)
def sort(endorsements: tuple[bytes, ...]) -> Endorsed:
    """What there is of AMD's among endorsements; what is neither certificate nor list is passed over."""
    certificates, crls = [], []
    for der in endorsements:
        if (found := _certificate(der)) is not None:
            certificates.append(found)
        elif revocation_list(der) is not None:
            crls.append(der)
    return Endorsed(certificates=tuple(c for c in certificates if c.role), crls=tuple(crls))


def _certificate(der: bytes) -> Certificate | None:
    if len(der) > MAX_DER:
        return None
    found = load(der)
    if found is None:
        return None
    try:
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        with quietly():
            serial, extensions = found.serial_number, {e.oid.dotted_string: e.value for e in found.extensions}
        dates = int(found.not_valid_before_utc.timestamp()), int(found.not_valid_after_utc.timestamp())
        subject, issuer = found.subject.public_bytes(), found.issuer.public_bytes()
    except UNREADABLE:
        return None
    if any(e.critical for e in found.extensions) and link(der) is None:
        return None  # a critical extension that is not known
    role, product = _role(str(names[0].value) if len(names) == 1 else "")
    own = {
        oid.removeprefix(OID): value.value
        for oid, value in extensions.items()
        if oid.startswith(OID) and isinstance(value, x509.UnrecognizedExtension)
    }
    if role in ("vcek", "vlek"):
        product = FAMILY.get(_text(own.get(PRODUCT, b"")).partition("-")[0].lower(), "unknown")
    return Certificate(
        role=role,
        product=product,
        name=f"{role} {product}",
        ends=Forecast(id="validity", until=dates[1], reason=f"the {role.upper()}'s certificate ends"),
        der=der,
        issuer=issuer,
        subject=subject,
        start=dates[0],
        end=dates[1],
        serial=serial,
        parts=tuple(_integer(own.get(oid, b"")) for oid in PARTS.values()),
        hwid=own.get(HWID, b""),
        csp_id=_text(own.get(CSP_ID, b"")),
    )


def _role(name: str) -> tuple[str, str]:
    """By common name: ARK-Milan, SEV-Milan, SEV-VLEK-Milan, SEV-VCEK, SEV-VLEK."""
    if name in ("SEV-VCEK", "SEV-VLEK"):
        return name[4:].lower(), ""
    for start, role in (("ARK-", "ark"), ("SEV-VLEK-", "asvk"), ("SEV-", "ask")):
        product = FAMILY.get(name.removeprefix(start).lower())
        if name.startswith(start) and product:
            return role, product
    return "", ""


def _text(der: bytes) -> str:
    """A DER IA5String of less than 128 bytes; empty for anything else."""
    good = len(der) > 2 and der[0] == 0x16 and der[1] == len(der) - 2 < 128
    return der[2:].decode("ascii", errors="replace") if good else ""


def _integer(der: bytes) -> int:
    """A DER INTEGER of 0 to 255; -1 for anything else."""
    if len(der) in (3, 4) and der[0] == 2 and der[1] == len(der) - 2:
        value = int.from_bytes(der[2:], "big", signed=True)
        if 0 <= value <= 255:
            return value
    return -1


@lru_cache(maxsize=64)
def chain_holds(ark: bytes, intermediate: bytes, leaf: bytes) -> bool:
    """Is each signed by the one before? DER; signatures alone, nothing of time or names. The root's own is not looked at:
    its pin is of every byte of it.
    """
    return _signed(ark, intermediate) and _signed(intermediate, leaf)


def _signed(by: bytes, of: bytes) -> bool:
    certificate = load(of)
    return certificate is not None and _pss(by, certificate.signature, certificate.tbs_certificate_bytes)


def _pss(by: bytes, signature: bytes, message: bytes) -> bool:
    certificate = load(by)
    try:
        key = certificate.public_key() if certificate else None
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        key.verify(signature, message, PSS, SHA384())
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


@record()
class List:
    """A revocation list; dates in unix seconds, `end` 0 if it has none."""

    crl: x509.CertificateRevocationList
    der: bytes
    issuer: bytes
    start: int
    end: int


@lru_cache(maxsize=64)
def revocation_list(der: bytes) -> List | None:
    """Of its DER; None if the bytes are none, or not one of all that its issuer has revoked."""
    if len(der) > MAX_CRL:
        return None
    try:
        crl = x509.load_der_x509_crl(der)
        if not plain_list(crl):
            return None
        end = crl.next_update_utc
        return List(
            crl=crl,
            der=der,
            issuer=crl.issuer.public_bytes(),
            start=int(crl.last_update_utc.timestamp()),
            end=int(end.timestamp()) if end else 0,
        )
    except UNREADABLE:
        return None


@record()
class Revocation:
    """What the lists of one root say at one time: `revoked` is None if none of them can be used, `end` when the one that
    was used ends."""

    revoked: bool | None
    end: int | None
    said: str


def revocation(crls: tuple[bytes, ...], ark: Certificate, below: tuple[Certificate, ...], now: int) -> Revocation:
    """Is one of `below` on a list that the root signed and that holds at `now`? Of several such lists any may revoke, and the
    one that ends first says how long that is known."""
    if not crls:
        return Revocation(revoked=None, end=None, said="no revocation list was given")
    said = "no revocation list of this root was given"
    listed, ends = False, list[int]()
    for found in filter(None, map(revocation_list, crls)):
        if found.issuer != ark.subject:
            continue
        if not list_signed(ark.der, found.der):
            said = "the revocation list is not signed by the root"
        elif not found.start <= now <= found.end:
            said = "the revocation list does not hold at this time"
        else:
            ends.append(found.end)
            listed |= any(found.crl.get_revoked_certificate_by_serial_number(c.serial) is not None for c in below)
    if not ends:
        return Revocation(revoked=None, end=None, said=said)
    return Revocation(revoked=listed, end=min(ends), said="on the list" if listed else "not on the list")


@lru_cache(maxsize=64)
def list_signed(ark: bytes, crl: bytes) -> bool:
    """Did the root sign the list? Both DER."""
    found = revocation_list(crl)
    return found is not None and _pss(ark, found.crl.signature, found.crl.tbs_certlist_bytes)
