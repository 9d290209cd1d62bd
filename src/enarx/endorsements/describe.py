"""Descriptions of endorsements for people. Nothing is verified here."""

from __future__ import annotations

from enarx.errors import ParseError
from enarx.formats.bundle import Item
from enarx.verify.certificates import UNREADABLE, load
from enarx.verify.families import amd
from enarx.verify.families.intel import collateral as intel
from enarx.verify.revocation import revocation_list


def described(data: bytes, source: str) -> Item:
    """An endorsement with its description and expiry."""
    try:
        description = _collateral(data) or _amd(data) or _certificate(data) or _list(data)
    except ParseError as e:
        description = f"malformed: {e.message}", None
    except UNREADABLE:
        description = "malformed: a name or a date", None
    what, until = description or ("unknown", None)
    return Item(what=what, source=source, until=until, data=data)


def _collateral(data: bytes) -> tuple[str, int | None] | None:
    content = intel.opened(data)
    collateral = content.collateral
    if collateral is None:
        return (f"malformed: {content.malformed}", None) if content.malformed else None
    ends = (collateral.info.end, collateral.identity.end, *(one.end for one in collateral.lists))
    tee = "SGX" if collateral.info.tee == 0 else "TDX"
    return f"collateral {tee}, FMSPC {collateral.info.fmspc.hex()}, evaluation {collateral.info.evaluation}", min(ends)


def _amd(data: bytes) -> tuple[str, int | None] | None:
    certificates = amd.sort((data,)).certificates
    if not certificates:
        return None
    one = certificates[0]
    whom = f", chip {one.hwid.hex()[:16]}..., TCB {one.parts}" if one.hwid else f", {one.csp_id}" if one.csp_id else ""
    return f"{one.role.upper()} {one.product}{whom}", one.period.end


def _certificate(data: bytes) -> tuple[str, int | None] | None:
    certificate = load(data)
    if certificate is None:
        return None
    return f"certificate {certificate.subject.rfc4514_string()}", int(certificate.not_valid_after_utc.timestamp())


def _list(data: bytes) -> tuple[str, int | None] | None:
    parsed = revocation_list(data)
    if parsed is None:
        return None
    return f"revocation list of {parsed.crl.issuer.rfc4514_string()}, {len(parsed.crl)} revoked", parsed.end
