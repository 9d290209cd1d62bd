"""Intel's certificates, revocation lists and collateral: what they say, and whether they are signed.

Certificates: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, revision 1.5. Collateral: the JSON
that dcap-qvl reads, of what Intel's provisioning certification service gives out (version 4).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from enarx.errors import ParseError, UsageError
from enarx.formats.evidence.families.dcap import Quote
from enarx.record import record
from enarx.verify.certificates import UNREADABLE, ec_key, link, load, quietly
from enarx.verify.families.intel.tcb import WHAT, Identity, TcbInfo
from enarx.verify.revocation import Authority, List, read_list, revocation_list
from enarx.verify.times import Period

EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
ROOT, SIGNING, PCK = "Intel SGX Root CA", "Intel SGX TCB Signing", "Intel SGX PCK Certificate"
AUTHORITIES = ("Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA")
ALGORITHM = ec.ECDSA(SHA256())
MAX_SIZE = 1 << 20
FIELDS = (
    *("pck_crl", "root_ca_crl", "tcb_info_issuer_chain", "tcb_info", "tcb_info_signature"),
    *("qe_identity_issuer_chain", "qe_identity", "qe_identity_signature"),
)
"""What the JSON must have; it may have more, such as the chain of the list's issuer, which is in the quote anyway."""


LISTS = FIELDS[:2]


@record()
class Certificate:
    """One certificate; names as in its DER, `name` the common one; an `authority` may sign certificates and revocation lists."""

    der: bytes
    name: str
    subject: bytes
    issuer: bytes
    serial: int
    period: Period
    authority: bool


@lru_cache(maxsize=256)
def certificate(der: bytes) -> Certificate | None:
    """What a certificate says; None if the bytes are none, or it has a critical extension that is not known."""
    found, known = load(der), link(der)
    if found is None or known is None:
        return None
    with quietly():
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        serial = found.serial_number
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
    """The key of a certificate, if that is one of P-256."""
    return ec_key(der, "secp256r1")


def point(raw: bytes) -> ec.EllipticCurvePublicKey | None:
    """The key of two coordinates, 32 bytes each; None if that is no point of P-256."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\4" + raw)
    except ValueError:
        return None


def signed(public: ec.EllipticCurvePublicKey | None, signature: bytes, message: bytes) -> bool:
    """Did the key make the signature (DER) of the message, with SHA-256?"""
    if public is None:
        return False
    try:
        public.verify(signature, message, ALGORITHM)
    except InvalidSignature:
        return False
    return True


def signed_raw(public: ec.EllipticCurvePublicKey | None, signature: bytes, message: bytes) -> bool:
    """As `signed`, of a signature that is the two halves, 32 bytes each, big-endian."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return len(signature) == 64 and signed(public, encode_dss_signature(r, s), message)


@lru_cache(maxsize=64)
def text_signed(by: bytes, signature: bytes, text: bytes) -> bool:
    """As `signed_raw`, by a certificate; for collateral, which comes with many quotes."""
    return signed_raw(key(by), signature, text)


@lru_cache(maxsize=256)
def issued(by: bytes, of: bytes) -> bool:
    """Is the one certificate, a CA's, the issuer of the other, by name and by signature?"""
    issuer, subject, found = certificate(by), certificate(of), load(of)
    if not issuer or not subject or not found or not issuer.authority or issuer.subject != subject.issuer:
        return False
    of_form = found.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256
    return of_form and signed(key(by), found.signature, found.tbs_certificate_bytes)


@lru_cache(maxsize=64)
def list_signed(by: bytes, of: bytes) -> bool:
    """Did the key of this certificate sign the list, ECDSA with SHA-256?"""
    found = revocation_list(of)
    assert found is not None  # it has been read
    of_form = found.crl.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256
    return of_form and signed(key(by), found.crl.signature, found.crl.tbs_certlist_bytes)


def authority(of: Certificate, serials: tuple[int, ...]) -> Authority:
    """The owner of a certificate as the signer of revocation lists, and the serial numbers that these may name."""

    def by_it(der: bytes) -> bool:
        return list_signed(of.der, der)

    return Authority(of.subject, of.name, by_it, serials)


@record()
class Request:
    """What Intel's service is asked for: the collateral of a TEE on machines of a model, whose `authority` is platform or
    processor.
    """

    tee: int
    machine: Machine
    authority: str


def request(quote: Quote) -> Request:
    """What verifying a quote needs. UsageError if its certificates do not say which machine made it."""
    leaf, made_by = certificate(quote.chain[0]), machine(quote.chain[0])
    issuer = certificate(quote.chain[1]) if len(quote.chain) > 1 else None
    if leaf is None or made_by is None or issuer is None or issuer.name not in AUTHORITIES:
        raise UsageError("endorsements-machine", "the certificates in the quote do not say which machine made it")
    return Request(
        tee=quote.tee, machine=made_by, authority="platform" if issuer.name == AUTHORITIES[0] else "processor"
    )


@record()
class Collateral:
    """Collateral of one model. The texts are signed as they came; `info_signer` and `identity_signer` are certificates in
    DER, the signatures 64 bytes. Its `lists` count wherever they fit, not with it alone.
    """

    info: TcbInfo
    info_text: bytes
    info_signature: bytes
    info_signer: bytes
    identity: Identity
    identity_text: bytes
    identity_signature: bytes
    identity_signer: bytes
    lists: tuple[List, ...]


@lru_cache(maxsize=16)
def _opened(data: bytes) -> dict[str, Any] | str:
    """The object of JSON collateral, or why there is none. It is shared: nobody changes it."""
    try:
        return parsed(data, "the collateral")
    except ParseError as e:
        return e.message


@lru_cache(maxsize=64)
def lists_in(data: bytes) -> tuple[List, ...]:
    """The revocation lists of one endorsement: itself, or those in JSON collateral, whatever else is wrong with that."""
    ders = [data]
    if data.lstrip()[:1] == b"{":
        value = _opened(data)
        texts = [value.get(name) for name in LISTS] if isinstance(value, dict) else []
        ders = [der for text in texts if isinstance(text, str) for der in _list_ders(text)]
    return tuple([one for one in map(revocation_list, ders) if one is not None])


@lru_cache(maxsize=16)
def collateral(data: bytes) -> Collateral | None:
    """Collateral of its bytes; None for certificates and the like; ParseError for JSON that is no collateral."""
    if data.lstrip()[:1] != b"{":
        return None
    value = _opened(data)
    if isinstance(value, str):
        raise ParseError("collateral-json", value, what=WHAT)
    texts: dict[str, str] = {}
    for name in FIELDS:
        text = value.get(name)
        if not isinstance(text, str):
            raise ParseError("collateral-field", f"{name}: wanted a text", what=WHAT)
        texts[name] = text
    info, identity = (texts[name].encode(errors="replace") for name in ("tcb_info", "qe_identity"))
    return Collateral(
        info=TcbInfo.from_value(parsed(info, "tcb_info")),
        info_text=info,
        info_signature=_signature(texts["tcb_info_signature"]),
        info_signer=_first(texts["tcb_info_issuer_chain"]),
        identity=Identity.from_value(parsed(identity, "qe_identity")),
        identity_text=identity,
        identity_signature=_signature(texts["qe_identity_signature"]),
        identity_signer=_first(texts["qe_identity_issuer_chain"]),
        lists=(*_lists(texts, "pck_crl"), *_lists(texts, "root_ca_crl")),
    )


def signer_issued(root: bytes, signer: bytes) -> bool:
    """Is it the certificate of who signs collateral, from this root?"""
    found = certificate(signer)
    return found is not None and found.name == SIGNING and issued(root, signer)


def collateral_signed(given: Collateral, chain: tuple[bytes, ...]) -> bool:
    """Are both texts signed, by whom the certificates of a quote (leaf, authority, root) say?"""
    if len(chain) != 3:
        return False
    texts = (
        (given.info_signer, given.info_signature, given.info_text),
        (given.identity_signer, given.identity_signature, given.identity_text),
    )
    return all(signer_issued(chain[2], signer) and text_signed(signer, *rest) for signer, *rest in texts)


def parsed(data: bytes, name: str) -> dict[str, Any]:
    """A JSON object. ParseError. Of a key given twice the last counts: what matters of it is signed as it stands."""
    if len(data) > MAX_SIZE:
        raise ParseError("collateral-size", f"{name}: {len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise ParseError("collateral-json", f"{name}: not JSON", what=WHAT) from e
    if not isinstance(value, dict):
        raise ParseError("collateral-json", f"{name}: wanted an object", what=WHAT)
    return value


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _lists(texts: dict[str, str], name: str) -> list[List]:
    found = list(map(read_list, _list_ders(texts[name])))
    if wrong := [one for one in found if isinstance(one, str)]:
        raise ParseError("collateral-list", f"{name}: {wrong[0]}", what=WHAT)
    return [one for one in found if isinstance(one, List)]


_BEGIN = "-----BEGIN X509 CRL-----"
_PEM = re.compile(_BEGIN + r"[A-Za-z0-9+/=\s]*-----END X509 CRL-----")


def _list_ders(text: str) -> list[bytes]:
    """Of a list in hexadecimal, or of one or many as PEM, as some services give them out; empty bytes for what is neither."""
    if not (begun := text.count(_BEGIN)):
        return [_hex(text)]
    blocks = _PEM.findall(text)
    return [*map(_der, blocks), *[b""] * (begun - len(blocks))]


def _der(pem: str) -> bytes:
    try:
        return x509.load_pem_x509_crl(pem.encode()).public_bytes(Encoding.DER)
    except UNREADABLE:
        return b""


def _signature(text: str) -> bytes:
    found = _hex(text)
    if len(found) != 64:
        raise ParseError("collateral-signature", "wanted a signature of 64 bytes, in hexadecimal", what=WHAT)
    return found


def _first(pem: str) -> bytes:
    """The first certificate of a chain."""
    try:
        with quietly():
            found = x509.load_pem_x509_certificates(pem.encode())
        return bytes(found[0].public_bytes(Encoding.DER))
    except (*UNREADABLE, UnicodeError) as e:
        raise ParseError("collateral-chain", "wanted certificates as PEM", what=WHAT) from e


@record()
class Machine:
    """What a PCK certificate says of the machine. `components` are the 16 security versions of CPUSVN."""

    ppid: bytes
    components: tuple[int, ...]
    pce_svn: int
    pce_id: bytes
    fmspc: bytes
    instance: bytes = b""
    dynamic: bool | None = None
    cached_keys: bool | None = None
    smt: bool | None = None


@lru_cache(maxsize=256)
def machine(der: bytes) -> Machine | None:
    """Of a PCK certificate; None without the extension, or if it is not whole."""
    found = load(der)
    try:
        extension = found.extensions.get_extension_for_oid(EXTENSION).value if found else None
        return _machine(extension.value) if isinstance(extension, x509.UnrecognizedExtension) else None
    except (*UNREADABLE, x509.ExtensionNotFound, KeyError, IndexError):
        return None


ARC = bytes.fromhex("2a864886f84d010d01")
"""`EXTENSION`, as DER has it: every OID in it begins so."""

TCB, CONFIGURATION = b"\2", b"\7"


def _machine(der: bytes) -> Machine:
    fields = _fields(_inside(der, 0x30), b"")
    tcb = _fields(_inside(fields[2], 0x30), TCB)
    flags = _fields(_inside(fields[7], 0x30), CONFIGURATION) if 7 in fields else {}
    return Machine(
        ppid=_inside(fields[1], 0x04, 16),
        components=tuple(_number(tcb[i], 1) for i in range(1, 17)),
        pce_svn=_number(tcb[17], 2),
        pce_id=_inside(fields[3], 0x04, 2),
        fmspc=_inside(fields[4], 0x04, 6),
        instance=_inside(fields[6], 0x04, 16) if 6 in fields else b"",
        dynamic=_flag(flags, 1),
        cached_keys=_flag(flags, 2),
        smt=_flag(flags, 3),
    )


def _fields(der: bytes, arcs: bytes) -> dict[int, bytes]:
    """SEQUENCEs of an OID and a value, by the last arc of the OID, which stands below these; the values in DER."""
    found = {}
    for of, _, pair in _elements(der):
        (tag, _, oid), (_, value, _) = _elements(pair)
        if (of, tag) != (0x30, 0x06) or oid[:-1] != ARC + arcs or oid[-1] >= 0x80 or oid[-1] in found:
            raise ValueError("wanted an OID of this extension, and each once")
        found[oid[-1]] = value
    return found


def _elements(der: bytes) -> list[tuple[int, bytes, bytes]]:
    """The elements of DER side by side: tag, the whole, what is inside; at most 64 KiB each. Lengths as short as can be (X.690,
    10.1).
    """
    found, at = [], 0
    while at < len(der):
        tag, size, start = der[at], der[at + 1], at + 2
        if size >= 0x80:
            start += size - 0x80
            length = der[at + 2 : start]
            size = int.from_bytes(length, "big")
            if size < 0x80 or not length[0]:
                raise ValueError("a length that is not given, or longer than it needs to be")
        if start - at > 4 or start + size > len(der):
            raise ValueError("not DER")
        found.append((tag, der[at : start + size], der[start : start + size]))
        at = start + size
    return found


def _inside(der: bytes, wanted: int, size: int | None = None) -> bytes:
    ((tag, _, inside),) = _elements(der)
    if tag != wanted or size not in (None, len(inside)):
        raise ValueError("another type or size")
    return inside


def _number(der: bytes, size: int) -> int:
    """An INTEGER of at most that many bytes without sign, in as few as it needs (X.690, 8.3.2)."""
    inside = _inside(der, 0x02)
    value = int.from_bytes(inside, "big", signed=True)
    if not 0 <= value < 1 << 8 * size or len(inside) != value.bit_length() // 8 + 1:
        raise ValueError("out of range, or longer than it needs to be")
    return value


def _flag(flags: dict[int, bytes], number: int) -> bool | None:
    """A BOOLEAN, which is 0 or 255 (X.690, 11.1)."""
    return {b"\0": False, b"\xff": True}[_inside(flags[number], 0x01)] if number in flags else None
