"""AMD's certificates and revocation lists: their content, and whether a chain is valid.

Versioned Chip Endorsement Key Certificate and KDS Interface Specification (AMD 57230, 1.00), tables 8 to 11 and 3.
AMD signs with RSA-PSS, which `cryptography.x509.verification` does not support, so each signature is verified by itself.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509.oid import NameOID

from enarx.record import record
from enarx.verify.certificates import UNREADABLE, link, load, quietly
from enarx.verify.memo import memo
from enarx.verify.result import Forecast
from enarx.verify.revocation import Authority, List, revocation_list, standing
from enarx.verify.times import Period, reason

OID = "1.3.6.1.4.1.3704.1."
PRODUCT, HWID, CSP_ID = "2", "4", "5"
PARTS = {"fmc": "3.9", "bootloader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8"}
HWID_SIZES = {"milan": 64, "genoa": 64, "turin": 8}
"""Bytes of a chip's id by product; 64 for an unknown one."""

FAMILY = {"milan": "milan", "genoa": "genoa", "bergamo": "genoa", "siena": "genoa", "turin": "turin"}
MAX_DER = 16 << 10
PSS = padding.PSS(mgf=padding.MGF1(SHA384()), salt_length=48)


@record()
class Certificate:
    """A parsed certificate, from AMD or another issuer.

    role     ark, ask, asvk, vcek or vlek; empty for any other certificate
    product  in lower case; genoa for its whole family
    parts, hwid, csp_id
             the machine, in VCEKs and VLEKs; -1 for a TCB part that is missing
    """

    role: str
    product: str
    name: str
    ends: Forecast
    period: Period
    der: bytes
    issuer: bytes
    subject: bytes
    serial: int
    parts: tuple[int, ...] = ()
    hwid: bytes = b""
    csp_id: str = ""


@record()
class Request:
    """A request to AMD's service: the issuers and the revocation list for a role, and for a VCEK its certificate.

    role  vcek or vlek; a VLEK's own certificate comes from the provider, through the host
    chip  the chip's id as in the report
    tcbs  the candidate products, each with the parts of the TCB that the report states
    """

    role: str
    chip: bytes
    tcbs: tuple[tuple[str, tuple[int, ...]], ...]


@record()
class Endorsed:
    """AMD's certificates and revocation lists among the endorsements."""

    certificates: tuple[Certificate, ...]
    lists: tuple[List, ...]


@memo(max_bytes=4 << 20)
def sort(endorsements: tuple[bytes, ...]) -> Endorsed:
    """Sort endorsements; everything but AMD's certificates and revocation lists is ignored."""
    certificates = list(filter(None, map(certificate, endorsements)))
    others = [der for der in endorsements if certificate(der) is None]
    lists = [parsed for parsed in map(revocation_list, others) if parsed is not None]
    return Endorsed(certificates=tuple(c for c in certificates if c.role), lists=tuple(lists))


@memo(max_bytes=1 << 19)
def certificate(der: bytes) -> Certificate | None:
    """Parse a certificate, from AMD or another issuer; None if it is malformed or has an unknown critical extension."""
    if len(der) > MAX_DER:
        return None
    x509_certificate = load(der)
    if x509_certificate is None:
        return None
    try:
        names = x509_certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        with quietly():
            serial, extensions = (
                x509_certificate.serial_number,
                {e.oid.dotted_string: e.value for e in x509_certificate.extensions},
            )
        dates = (
            int(x509_certificate.not_valid_before_utc.timestamp()),
            int(x509_certificate.not_valid_after_utc.timestamp()),
        )
        subject, issuer = x509_certificate.subject.public_bytes(), x509_certificate.issuer.public_bytes()
    except UNREADABLE:
        return None
    if any(e.critical for e in x509_certificate.extensions) and link(der) is None:
        return None  # unknown critical extension
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
        period=Period(*dates, f"the {role.upper()}'s certificate"),
        der=der,
        issuer=issuer,
        subject=subject,
        serial=serial,
        parts=tuple(_integer(own.get(oid, b"")) for oid in PARTS.values()),
        hwid=own.get(HWID, b""),
        csp_id=_text(own.get(CSP_ID, b"")),
    )


def _role(name: str) -> tuple[str, str]:
    """The role and product in a common name: ARK-Milan, SEV-Milan, SEV-VLEK-Milan, SEV-VCEK, SEV-VLEK."""
    if name in ("SEV-VCEK", "SEV-VLEK"):
        return name[4:].lower(), ""
    for start, role in (("ARK-", "ark"), ("SEV-VLEK-", "asvk"), ("SEV-", "ask")):
        product = FAMILY.get(name.removeprefix(start).lower())
        if name.startswith(start) and product:
            return role, product
    return "", ""


def _text(der: bytes) -> str:
    """A DER IA5String of less than 128 printable characters; empty for anything else."""
    good = len(der) > 2 and der[0] == 0x16 and der[1] == len(der) - 2 < 128 and der.isascii()
    text = der[2:].decode("ascii") if good else ""
    return text if text.isprintable() else ""


def _integer(der: bytes) -> int:
    """A DER INTEGER from 0 to 255, minimally encoded (X.690, 8.3.2); -1 for anything else."""
    if len(der) == 3 and der[:2] == b"\2\1" and der[2] < 0x80:
        return der[2]
    if len(der) == 4 and der[:3] == b"\2\2\0" and der[3] >= 0x80:
        return der[3]
    return -1


@memo(max_bytes=1 << 18)
def chain_holds(ark: bytes, intermediate: bytes, leaf: bytes) -> bool:
    """Whether each certificate (DER) is signed by the one before it. Times and names are not checked here, nor is the root's
    signature of itself: the pin covers every byte of it.
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
class Revocation:
    """Whether the lists of a root revoke a chain at a given time.

    revoked  None if no list can be used
    end      when the newest list that was used expires (unix seconds)
    reason   for people
    """

    revoked: bool | None
    end: int | None
    reason: str


def authority(ark: Certificate, below: tuple[Certificate, ...]) -> Authority:
    """The root as the signer of revocation lists, with the serial numbers of `below` to look up in them."""

    def signed(der: bytes) -> bool:
        return list_signed(ark.der, der)

    return Authority(ark.subject, "the root", signed, tuple([each.serial for each in below]))


def revocation(lists: tuple[List, ...], root: Authority, now: int) -> Revocation:
    """Evaluate lists for the certificates below a root: any current list that the root signed revokes."""
    if not lists:
        return Revocation(revoked=None, end=None, reason="no revocation list was given")
    state = standing(lists, root, now)
    if state.newest is None:
        message = (
            "the revocation list is not signed by the root" if state.refused else "no revocation list of this root"
        )
        return Revocation(revoked=None, end=None, reason=message)
    if not state.holds:
        period = Period(state.newest.start, state.newest.end, "the revocation list")
        return Revocation(revoked=None, end=None, reason=reason(period, now))
    message = "on the list" if state.revoked else "not on the list"
    return Revocation(revoked=state.revoked, end=state.newest.end, reason=message)


@memo(max_bytes=1 << 18)
def list_signed(ark: bytes, crl: bytes) -> bool:
    """Whether the root signed the list. Both in DER."""
    parsed = revocation_list(crl)
    return parsed is not None and _pss(ark, parsed.crl.signature, parsed.crl.tbs_certlist_bytes)
