"""Revocation lists: each is judged by itself, from wherever it came, and any that holds revokes.

A list that whoever hands over endorsements would rather hide is not hidden by what stands beside it: not by another list that has
ended, not by collateral that fits nothing.
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
NOT_A_LIST = "a revocation list that cannot be read"
NOT_OF_ALL = "not a list of all that its issuer has revoked"


@record()
class List:
    """A revocation list of all that its issuer has revoked; dates in unix seconds. One without an end holds never: `end` is 0."""

    crl: x509.CertificateRevocationList
    der: bytes
    issuer: bytes
    start: int
    end: int


@memo(max_bytes=4 << 20)
def read_list(der: bytes) -> List | str:
    """A list of its DER, or why these bytes are none."""
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
    """As `read_list`; None for what is no such list."""
    found = read_list(der)
    return found if isinstance(found, List) else None


@memo(max_bytes=1 << 18)
def listed(der: bytes, serial: int) -> bool:
    """Is the serial number on the list?"""
    found = revocation_list(der)
    return found is not None and found.crl.get_revoked_certificate_by_serial_number(serial) is not None


@memo(max_bytes=1 << 18)
def list_issued(by: bytes, der: bytes) -> bool:
    """Did the key of a certificate (DER) sign the list, with SHA-2?"""
    issuer, found = load(by), revocation_list(der)
    assert issuer is not None and found is not None  # noqa: PT018  # they have been read
    try:
        key: Any = issuer.public_key()
        hashed = found.crl.signature_hash_algorithm
        return hashed is not None and hashed.name in SHA2 and found.crl.is_signature_valid(key)
    except UNREADABLE:
        return False


class Authority(NamedTuple):
    """Who signs a list: its subject, its name for people, whether it signed one (DER), and the serial numbers of the certificates
    that its lists may name.
    """

    subject: bytes
    name: str
    signed: Callable[[bytes], bool]
    serials: tuple[int, ...]


class Standing(NamedTuple):
    """What the lists of one authority say at one time.

    newest   the list that began last of those that are signed and hold, else of those that are signed alone; None without one
    holds    whether that holds
    revoked  whether one that holds names a certificate
    refused  whether there is a list in the authority's name that it did not sign, and none that it did
    """

    newest: List | None
    holds: bool
    revoked: bool
    refused: bool


def standing(lists: tuple[List, ...], authority: Authority, now: int) -> Standing:
    """Of one authority, over all lists that there are."""
    named = [one for one in lists if one.issuer == authority.subject]
    signed = [one for one in named if authority.signed(one.der)]
    held = [one for one in signed if one.start <= now <= one.end]
    newest = max(held or signed, key=lambda one: one.start) if signed else None
    revoked = any(listed(one.der, serial) for one in held for serial in authority.serials)
    return Standing(newest, holds=bool(held), revoked=revoked, refused=bool(named) and not signed)


def unused_list(one: List, authorities: tuple[Authority, ...], now: int) -> str:
    """Why a list was not used; empty if it was."""
    of = [authority for authority in authorities if authority.subject == one.issuer]
    if not of:
        return "a revocation list of nobody in the chain"
    if not any(authority.signed(one.der) for authority in of):
        return f"a revocation list that is not signed by {of[0].name}"
    if one.start <= now <= one.end:
        return ""
    return reason(Period(one.start, one.end, "the revocation list"), now)
