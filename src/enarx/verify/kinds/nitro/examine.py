"""The checks of authenticity of Nitro attestation documents (docs/attestation/nitro.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from enarx.formats.evidence.nitro import Evidence
from enarx.verify.certificates import Link, link, load, p384_signed
from enarx.verify.examination import Examination, Ledger
from enarx.verify.kinds.nitro.claims import NitroClaims
from enarx.verify.kinds.nitro.roots import AWS
from enarx.verify.memo import memo
from enarx.verify.result import Endorsements, Forecast
from enarx.verify.roots import Roots
from enarx.verify.times import Period, check_times
from enarx.verify.unused import generally, unused
from enarx.verify.values import Unknown

WHERE = "docs/attestation/nitro.md"
CHECKS = ("root", "chain", "authorities", "validity", "document-time", "signature")
"""The ids of all checks, in order."""

NEVER = Period(0, -1, "a certificate that cannot be read")
SKEW = 300
"""Seconds that the document's clock may be ahead of `now`."""


def examine(
    evidence: bytes,
    *,
    endorsements: Endorsements,
    roots: Roots,
    now: int,
) -> Examination:
    """1. The first certificate of the bundle is pinned.
    2. Each certificate is signed by the one before it, with P-384 and SHA-384, and names it as issuer.
    3. All but the last may sign certificates, to the depth needed; the last may not.
    4. All certificates are valid at `now` (unix seconds).
    5. The document was made within the validity of its certificate, and not after `now`.
    6. The last certificate's key signed the document.

    The document contains its certificates and needs no endorsements. ParseError if the format is wrong.
    """
    document = Evidence.from_bytes(evidence)
    chain = (*document.cabundle, document.certificate)
    links = [link(der) for der in chain]
    pinned = hashlib.sha256(chain[0]).digest() in roots.pins(AWS)
    ledger = Ledger(CHECKS, anchor="AWS Nitro Enclaves root G1" if pinned else "none", where=WHERE, now=now)
    ledger.check(
        "root",
        lambda: pinned,
        wanted="a pinned root",
        got=hashlib.sha256(chain[0]).hexdigest(),
        hint="the document is not signed by AWS",
    )
    ledger.check(
        "chain",
        lambda: None not in links and all(map(_signed, chain, chain[1:])),
        wanted="each signed by the one before",
        got=f"{len(chain)} certificates",
        needs="root",
        hint="the bundle was altered, or is that of another document",
    )
    _dates(ledger, [one for one in links if one], document, now)
    ledger.check(
        "signature",
        lambda: _document_signed(document),
        wanted="made by the key of the document's certificate",
        got="the document",
        needs="chain",
        hint="the document was altered",
    )
    left = unused(endorsements, set(), generally)
    return ledger.examination(_claims(document), forecast=tuple(_ends(links)), unused=left)


def _ends(links: list[Link | None]) -> Iterator[Forecast]:
    """When each certificate expires. The document's own is valid for three hours."""
    for i, one in enumerate(links):
        named = "the document's certificate" if i == len(links) - 1 else f"certificate {i} of the document's bundle"
        if one is not None:
            yield Forecast(id="validity", until=one.end, reason=f"{named} ends")


def _dates(ledger: Ledger, links: list[Link], document: Evidence, now: int) -> None:
    ledger.check(
        "authorities",
        lambda: (
            all(one.signs_certificates and one.depth >= len(links) - 2 - i for i, one in enumerate(links[:-1]))
            and links[-1].depth == -1
            and links[-1].signs
        ),
        wanted="authorities, and at the end none",
        got=", ".join("authority" if one.depth >= 0 else "none" for one in links),
        needs="chain",
        hint="a certificate was issued by one that may not sign certificates",
    )
    names = ("the root's certificate", *["an authority's certificate"] * len(links), "the document's certificate")
    periods = [Period(one.start, one.end, name) for one, name in zip(links[:-1], names, strict=False)]
    check_times(
        ledger,
        "validity",
        (*periods, *(Period(one.start, one.end, names[-1]) for one in links[-1:])) or (NEVER,),
        now,
        needs="chain",
        hint="a document is valid for three hours; --at evidence asks about its own time: then the nonce must prove it fresh",
    )
    made, ended = (links[-1].start, min(links[-1].end, now + SKEW)) if links else (0, 0)
    ledger.check(
        "document-time",
        lambda: made <= document.time <= ended,
        wanted=f"{made} to {ended}",
        got=str(document.time),
        needs="chain",
        hint="the clock here or the clock there is wrong",
    )


@memo(max_bytes=1 << 18)
def _signed(by: bytes, of: bytes) -> bool:
    """Whether one certificate (DER) was signed by the other's key, and names it as issuer."""
    issuer, certificate = load(by), load(of)
    assert issuer is not None and certificate is not None  # noqa: PT018  # they have been read
    if certificate.issuer != issuer.subject:
        return False
    return p384_signed(by, certificate.signature, certificate.tbs_certificate_bytes)


def _document_signed(document: Evidence) -> bool:
    signature = document.message.signature
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
    return p384_signed(document.certificate, encode_dss_signature(r, s), document.signed)


def _claims(document: Evidence) -> NitroClaims:
    pcrs = dict(document.pcrs)
    absent = Unknown(reason="the document has no such register")
    return NitroClaims(
        kind="nitro",
        measurement=pcrs.get(0, b""),
        host_data=bytes(32),
        report_data=document.nonce,
        debug=not any(any(pcrs.get(i, b"")) for i in range(3)),
        svn=0,
        chip_id=document.module_id.partition("-enc")[0].encode(),
        pcr1=pcrs.get(1, absent),
        pcr2=pcrs.get(2, absent),
        pcr3=pcrs.get(3, absent),
        pcr4=pcrs.get(4, absent),
        pcr8=pcrs.get(8, absent),
        module_id=document.module_id,
        user_data=document.user_data,
        public_key=document.public_key,
    )
