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
        found = _collateral(data) or _amd(data) or _certificate(data) or _list(data)
    except ParseError as e:
        found = f"malformed: {e.message}", None
    except UNREADABLE:
        found = "malformed: a name or a date", None
    what, until = found or ("unknown", None)
    return Item(what=what, source=source, until=until, data=data)


def _collateral(data: bytes) -> tuple[str, int | None] | None:
    found = intel.collateral(data)
    if found is None:
        return None
    ends = (found.info.end, found.identity.end, *(one.end for one in found.lists))
    tee = "SGX" if found.info.tee == 0 else "TDX"
    return f"collateral {tee}, FMSPC {found.info.fmspc.hex()}, evaluation {found.info.evaluation}", min(ends)


def _amd(data: bytes) -> tuple[str, int | None] | None:
    found = amd.sort((data,)).certificates
    if not found:
        return None
    one = found[0]
    whom = f", chip {one.hwid.hex()[:16]}..., TCB {one.parts}" if one.hwid else f", {one.csp_id}" if one.csp_id else ""
    return f"{one.role.upper()} {one.product}{whom}", one.period.end


def _certificate(data: bytes) -> tuple[str, int | None] | None:
    found = load(data)
    if found is None:
        return None
    return f"certificate {found.subject.rfc4514_string()}", int(found.not_valid_after_utc.timestamp())


def _list(data: bytes) -> tuple[str, int | None] | None:
    found = revocation_list(data)
    if found is None:
        return None
    return f"revocation list of {found.crl.issuer.rfc4514_string()}, {len(found.crl)} revoked", found.end
