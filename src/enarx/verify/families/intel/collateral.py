"""Intel's collateral for a model of machine: TCB info, the quoting enclave's identity, revocation lists, and signatures.

Its format is the JSON that dcap-qvl reads, assembled from the answers of Intel's provisioning certification service (version 4).
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256

from enarx.errors import ParseError, UsageError
from enarx.formats.evidence.families.dcap import Quote
from enarx.formats.fields import Fields, json_object
from enarx.formats.text import hex_bytes
from enarx.record import record
from enarx.verify.certificates import load
from enarx.verify.families.intel.certificates import AUTHORITIES, SIGNING, certificate, digest_signed, issued
from enarx.verify.families.intel.machine import Machine, machine
from enarx.verify.families.intel.tcb import WHAT, Identity, TcbInfo
from enarx.verify.memo import memo
from enarx.verify.revocation import List, read_list, revocation_list

CODE = "collateral"
MAX_SIZE = 1 << 20
FIELDS = (
    *("pck_crl", "root_ca_crl", "tcb_info_issuer_chain", "tcb_info", "tcb_info_signature"),
    *("qe_identity_issuer_chain", "qe_identity", "qe_identity_signature"),
)
"""Mandatory fields of the JSON. It may have more, such as the list issuer's chain, which is in the quote anyway."""


LISTS = FIELDS[:2]


@record()
class Request:
    """A request to Intel's service: the collateral of a TEE for a model of machine. `authority` is platform or processor."""

    tee: int
    machine: Machine
    authority: str


def request(quote: Quote) -> Request:
    """What a quote needs from Intel. UsageError if its certificates do not identify the machine."""
    leaf, made_by = certificate(quote.chain[0]), machine(quote.chain[0])
    issuer = certificate(quote.chain[1]) if len(quote.chain) > 1 else None
    if leaf is None or made_by is None or issuer is None or issuer.name not in AUTHORITIES:
        raise UsageError("endorsements-machine", "the certificates in the quote do not identify its machine")
    return Request(
        tee=quote.tee, machine=made_by, authority="platform" if issuer.name == AUTHORITIES[0] else "processor"
    )


@record()
class Collateral:
    """Collateral for a model of machine.

    info_digest, identity_digest  SHA-256 of the texts as received, since that is what is signed
    info_signer, identity_signer  certificates in DER
    info_signature, identity_signature
                                  64 bytes
    lists                         revocation lists; they count even if other collateral is used
    """

    info: TcbInfo
    info_digest: bytes
    info_signature: bytes
    info_signer: bytes
    identity: Identity
    identity_digest: bytes
    identity_signature: bytes
    identity_signer: bytes
    lists: tuple[List, ...]


@record()
class Opened:
    """What an endorsement contains.

    json        whether it is JSON, and so collateral, if anything
    collateral  None if it is not collateral
    malformed   what is wrong with JSON that is not collateral
    lists       revocation lists: itself, or those in JSON, even if the collateral is malformed
    """

    json: bool
    collateral: Collateral | None
    malformed: str
    lists: tuple[List, ...]


@memo(max_bytes=4 << 20)
def opened(data: bytes) -> Opened:
    """The content of an endorsement, parsed once for all checks."""
    if data.lstrip()[:1] != b"{":
        return Opened(json=False, collateral=None, malformed="", lists=_readable([data]))
    texts: list[object] = []
    try:
        value = parsed(data, "the collateral")
        texts = [value.get(name) for name in LISTS]
        given = _collateral(value)
    except ParseError as e:
        ders = [der for text in texts if isinstance(text, str) for der in _list_ders(text)]
        return Opened(json=True, collateral=None, malformed=e.message, lists=_readable(ders))
    return Opened(json=True, collateral=given, malformed="", lists=given.lists)


def _readable(ders: list[bytes]) -> tuple[List, ...]:
    return tuple([one for one in map(revocation_list, ders) if one is not None])


def _collateral(value: Fields) -> Collateral:
    texts = {name: value.lines(name) for name in FIELDS}
    info, identity = (texts[name].encode(errors="replace") for name in ("tcb_info", "qe_identity"))
    return Collateral(
        info=TcbInfo.from_value(parsed(info, "tcb_info")),
        info_digest=sha256(info).digest(),
        info_signature=value.hex("tcb_info_signature", 64),
        info_signer=_first(texts["tcb_info_issuer_chain"]),
        identity=Identity.from_value(parsed(identity, "qe_identity")),
        identity_digest=sha256(identity).digest(),
        identity_signature=value.hex("qe_identity_signature", 64),
        identity_signer=_first(texts["qe_identity_issuer_chain"]),
        lists=(*_lists(texts, "pck_crl"), *_lists(texts, "root_ca_crl")),
    )


def signer_issued(root: bytes, signer: bytes) -> bool:
    """Whether the root issued this certificate for signing collateral."""
    parsed = certificate(signer)
    return parsed is not None and parsed.name == SIGNING and issued(root, signer)


def collateral_signed(given: Collateral, chain: tuple[bytes, ...]) -> bool:
    """Whether both texts are signed, up to the root of a quote's chain (leaf, CA, root)."""
    if len(chain) != 3:
        return False
    texts = (
        (given.info_signer, given.info_signature, given.info_digest),
        (given.identity_signer, given.identity_signature, given.identity_digest),
    )
    return all(signer_issued(chain[2], signer) and digest_signed(signer, *rest) for signer, *rest in texts)


def parsed(data: bytes, name: str) -> Fields:
    """Parse a JSON object. ParseError. Duplicate names are accepted, the last counts: the text itself is signed."""
    return json_object(data, WHAT, code=CODE, path=name, unique=False, limit=MAX_SIZE)


def _lists(texts: dict[str, str], name: str) -> list[List]:
    parsed = list(map(read_list, _list_ders(texts[name])))
    if wrong := [one for one in parsed if isinstance(one, str)]:
        raise ParseError("collateral-list", f"{name}: {wrong[0]}", what=WHAT)
    return [one for one in parsed if isinstance(one, List)]


def _list_ders(text: str) -> list[bytes]:
    """The DER of a list in hexadecimal, or of several in PEM, as some services return them; empty bytes for a malformed one."""
    if blocks := _blocks("X509 CRL", text):
        return blocks
    try:
        return [hex_bytes(text)]
    except ValueError:
        return [b""]


def _first(pem: str) -> bytes:
    """The first certificate of a PEM chain, in DER. ParseError if any is malformed."""
    chain = _blocks("CERTIFICATE", pem)
    if not chain or None in map(load, chain):
        raise ParseError("collateral-chain", "wanted certificates as PEM", what=WHAT)
    return chain[0]


def _blocks(label: str, text: str) -> list[bytes]:
    """The content of each PEM block with this label; empty bytes for a malformed one."""
    begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
    bodies = re.findall(f"{begin}([A-Za-z0-9+/=\\s]*){end}", text, re.ASCII)
    return [*map(_decoded, bodies), *[b""] * (text.count(begin) - len(bodies))]


def _decoded(body: str) -> bytes:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error:
        return b""
