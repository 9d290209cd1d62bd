"""Revocation lists. Each is evaluated by itself, wherever it came from, and any current list revokes.

The party that passes on endorsements may want to hide a list. Nothing beside a list hides it: neither an expired list nor
collateral that fits no machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography import x509

from enarx.record import record
from enarx.verify.certificates import SHA2, UNREADABLE, load, plain_list
from enarx.verify.memo import memo
from enarx.verify.times import Period, reason

MAX_LIST = 1 << 20
NOT_A_LIST = "a malformed revocation list"
NOT_OF_ALL = "a partial revocation list"


@record()
class List:
    """A revocation list of everything that its issuer has revoked. `start` and `end` are unix seconds; a list without an end is
    never current, and its `end` is 0.
    """

    crl: x509.CertificateRevocationList
    der: bytes
    issuer: bytes
    start: int
    end: int


@memo(max_bytes=4 << 20)
def read_list(der: bytes) -> List | str:
    """Parse a list from DER; or why the bytes are not one."""
    if len(der) > MAX_LIST:
        return f"a revocation list of {len(der)} bytes, at most {MAX_LIST} are read"
    try:
        crl = x509.load_der_x509_crl(der)
        if not plain_list(crl):
            return NOT_OF_ALL
        end = crl.next_update_utc
        return List(
            crl=crl,
            der=der,
            issuer=crl.issuer.public_bytes(),
            start=int(crl.last_update_utc.timestamp()),
            end=int(end.timestamp()) if end else 0,
        )
    except UNREADABLE:
        return NOT_A_LIST


def revocation_list(der: bytes) -> List | None:
    """Parse a list from DER; None if the bytes are not one."""
    parsed = read_list(der)
    return parsed if isinstance(parsed, List) else None


@memo(max_bytes=1 << 18)
def listed(der: bytes, serial: int) -> bool:
    """Whether the serial number is on the list (DER)."""
    parsed = revocation_list(der)
    return parsed is not None and parsed.crl.get_revoked_certificate_by_serial_number(serial) is not None


@memo(max_bytes=1 << 18)
def list_issued(by: bytes, der: bytes) -> bool:
    """Whether the key of a certificate (DER) signed the list, with SHA-2."""
    issuer, parsed = load(by), revocation_list(der)
    assert issuer is not None and parsed is not None  # noqa: PT018  # they have been read
    try:
        key: Any = issuer.public_key()
        hashed = parsed.crl.signature_hash_algorithm
        return hashed is not None and hashed.name in SHA2 and parsed.crl.is_signature_valid(key)
    except UNREADABLE:
        return False


class Authority(NamedTuple):
    """A signer of revocation lists.

    subject  its name in certificates
    name     its name for people
    signed   whether it signed a list (DER)
    serials  serial numbers of the certificates to look for on its lists
    """

    subject: bytes
    name: str
    signed: Callable[[bytes], bool]
    serials: tuple[int, ...]


class Standing(NamedTuple):
    """The state of an authority's lists at a given time.

    newest   the latest current list that it signed, else the latest that it signed; None if there is none
    holds    whether that list is current
    revoked  whether any current list names one of the certificates
    refused  whether there are lists in the authority's name, and it signed none of them
    """

    newest: List | None
    holds: bool
    revoked: bool
    refused: bool


def standing(lists: tuple[List, ...], authority: Authority, now: int) -> Standing:
    """Evaluate all lists for one authority at `now` (unix seconds)."""
    named = [one for one in lists if one.issuer == authority.subject]
    signed = [one for one in named if authority.signed(one.der)]
    held = [one for one in signed if one.start <= now <= one.end]
    newest = max(held or signed, key=lambda one: one.start) if signed else None
    revoked = any(listed(one.der, serial) for one in held for serial in authority.serials)
    return Standing(newest, holds=bool(held), revoked=revoked, refused=bool(named) and not signed)


def unused_list(one: List, authorities: tuple[Authority, ...], now: int) -> str:
    """Why a list was not used; empty if it was used."""
    of = [authority for authority in authorities if authority.subject == one.issuer]
    if not of:
        return "a revocation list of an issuer outside the chain"
    if not any(authority.signed(one.der) for authority in of):
        return f"a revocation list that is not signed by {of[0].name}"
    if one.start <= now <= one.end:
        return ""
    return reason(Period(one.start, one.end, "the revocation list"), now)
