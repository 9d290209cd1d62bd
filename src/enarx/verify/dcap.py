"""Intel SGX and TDX quotes are authentic, step by step (docs/attestation/sgx.md, tdx.md).

The vendor's chain goes through dcap-qvl, which stops at the first error with a text: each class of its errors is a check, in
the order in which it makes them; those behind a failed one are not reached. What it does not look at is looked at here.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache, partial
from typing import Any

import dcap_qvl

from enarx.errors import ParseError
from enarx.formats.evidence.dcap import SGX, Quote, SgxReport, TdReport
from enarx.record import record
from enarx.verify.examination import Examination, Ledger, VerifiedEvidence
from enarx.verify.policies.sgx import SgxClaims
from enarx.verify.policies.tdx import TdxClaims
from enarx.verify.policy import Bits
from enarx.verify.result import Claims, Endorsements, Forecast, Unknown
from enarx.verify.roots import Roots

CHECKS = (
    "collateral",
    "root",
    "quote-form",
    "collateral-validity",
    "tcb-info",
    "qe-identity",
    "pck-chain",
    "revocation",
    "qe-report",
    "attestation-key",
    "quote-signature",
    "tcb-level",
    "attributes",
)
SGX_CHECKS = TDX_CHECKS = CHECKS
"""The id of every check that is made here, in order; the same for both."""

ERRORS = (
    ("collateral-validity", ("CrlExpired", "expired", "in the future", "CertExpired", "CertNotValidYet")),
    ("revocation", ("CertRevoked", "is revoked", "Revoked")),
    ("tcb-info", ("tcb_info in quote_collateral", "TCB Info", "TCBInfo")),
    ("qe-identity", ("qe_identity in quote_collateral", "QE Identity", "QEIdentity", "QE MRSIGNER", "QE ISVPRODID")),
    ("pck-chain", ("certificate chain", "PCK certificate", "root CA CRL", "Failed to parse CRL")),
    ("qe-report", ("qe_report in quote",)),
    ("attestation-key", ("QE report hash mismatch",)),
    ("quote-signature", ("ISV enclave report signature",)),
    ("tcb-level", ("TCB level", "Fmspc mismatch", "FMSPC", "TDX module", "PCE ID", "pceid")),
    (
        "attributes",
        ("Debug mode", "SEPT_VE_DISABLE", "Reserved", "reserved", "MRSERVICETD", "mr_service_td", "PKS", "KL"),
    ),
)
"""Check and what dcap-qvl 0.7 says when it fails; the first that fits. What fits none is the form of the quote."""

WANTED = {
    "quote-form": "a quote by Intel's quoting enclave",
    "collateral-validity": "collateral and certificates that hold now",
    "tcb-info": "TCB info that Intel signed",
    "qe-identity": "the quoting enclave's identity that Intel signed, and that this one has",
    "pck-chain": "the machine's certificate, signed up to the root",
    "revocation": "not revoked",
    "qe-report": "the quoting enclave's report, signed by the machine's key",
    "attestation-key": "the key that the quoting enclave's report names",
    "quote-signature": "made by that key",
    "tcb-level": "a level that the TCB info knows",
    "attributes": "no debugging, and nothing that the host could turn against the guest",
}
HINTS = {
    "collateral-validity": "fetch current collateral: enarx endorsements fetch",
    "revocation": "the vendor has revoked the machine's certificate: nothing that it says counts any more",
    "tcb-info": "the collateral was changed on its way",
    "pck-chain": "collateral of another kind of machine, or changed certificates",
    "quote-signature": "the quote was changed on its way",
    "tcb-level": "the machine is older than any level that the vendor knows, or the collateral is of another model",
    "attributes": "started for debugging: the host can look inside",
}
FLAGS = ("dynamic_platform", "cached_keys", "smt_enabled")
VENDOR = ("tcb_status", "tcb_date", "advisories", "tcb_evaluation_number", "fmspc", "ppid", "chip_id", *FLAGS)
"""Claims that rest on the vendor's word."""

ABSENT = "the quote is not authentic, or that is not known"


def verify_sgx(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> VerifiedEvidence:
    """Do the checks of `examine_sgx` all hold? ParseError, VerificationError or UnavailableError if not."""
    return examine_sgx(evidence, endorsements=endorsements, roots=roots, now=now).verified()


def verify_tdx(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> VerifiedEvidence:
    """As verify_sgx."""
    return examine_tdx(evidence, endorsements=endorsements, roots=roots, now=now).verified()


def examine_sgx(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """The checks of docs/attestation/sgx.md on a quote of version 3. ParseError if the bytes are not the format."""
    quote = _quote(evidence, sgx=True)
    return _examine(quote, endorsements=endorsements, roots=roots, now=now, where="docs/attestation/sgx.md")


def examine_tdx(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """The checks of docs/attestation/tdx.md on a quote of version 4 or 5. ParseError if the bytes are not the format."""
    quote = _quote(evidence, sgx=False)
    return _examine(quote, endorsements=endorsements, roots=roots, now=now, where="docs/attestation/tdx.md")


def _quote(evidence: bytes, *, sgx: bool) -> Quote:
    quote = Quote.from_bytes(evidence)
    if (quote.tee == SGX) is not sgx:
        raise ParseError("quote-tee", f"a quote of TEE {quote.tee:#x}, wanted the other", what="Intel quote")
    return quote


@record()
class Finding:
    """What dcap-qvl found: `facts` if all is well, else `failed` and what it `said`."""

    facts: dict[str, Any]
    failed: str = ""
    said: str = ""


def _examine(quote: Quote, *, endorsements: Endorsements, roots: Roots, now: int, where: str) -> Examination:
    collaterals = [c for c in map(_collateral, endorsements) if c is not None]
    root = quote.chain[-1]
    pinned = hashlib.sha256(root).digest() in roots.intel
    finding = Finding(facts={})
    if collaterals and pinned:
        finding = _best([_judged(quote.raw, collateral, root, now) for collateral in collaterals])
    ledger = Ledger(CHECKS, anchor="Intel SGX Root CA" if pinned else "none", where=where)
    ledger.check(
        "collateral",
        lambda: True if collaterals else None,
        wanted="collateral (JSON) for this machine",
        got=f"{len(collaterals)} of it",
        hint="enarx endorsements fetch gets it from the vendor",
    )
    ledger.check(
        "root",
        lambda: pinned,
        wanted="a pinned root",
        got=hashlib.sha256(root).hexdigest(),
        needs="collateral",
        hint="a root that is not the vendor's",
    )
    needs = "root"
    for id in CHECKS[2:]:
        holds = finding.failed != id
        ledger.check(
            id,
            partial(bool, holds),
            wanted=WANTED[id],
            got=finding.said if finding.failed == id else "as wanted" if finding.facts else "not known",
            needs=needs,
            hint=HINTS.get(id, ""),
        )
        needs = id if finding.failed == id else needs
    return ledger.examination(_claims(quote, finding), forecast=_forecast(finding.facts))


def _best(findings: list[Finding]) -> Finding:
    """Of several collaterals the one that fits: the one with which most checks hold."""
    return max(findings, key=lambda f: CHECKS.index(f.failed) if f.failed else len(CHECKS))


@lru_cache(maxsize=64)
def _collateral(data: bytes) -> dcap_qvl.QuoteCollateralV3 | None:
    """Collateral of its bytes; None for certificates and the like."""
    if data[:1] != b"{":
        return None
    try:
        return dcap_qvl.QuoteCollateralV3.from_json(data.decode())
    except ValueError as e:
        raise ParseError("collateral", "JSON that is no collateral", what="Intel collateral") from e


@lru_cache(maxsize=16)
def _verifier(root: bytes) -> Any:
    return dcap_qvl.QuoteVerifier(root)


def _judged(quote: bytes, collateral: dcap_qvl.QuoteCollateralV3, root: bytes, now: int) -> Finding:
    try:
        policy = dcap_qvl.QuotePolicy.claims_only(now)
        claims = _verifier(root).verify_with_policy(quote, collateral, now, policy)
        return Finding(facts=json.loads(claims.to_json()))
    except (ValueError, OverflowError) as e:
        said = " ".join(str(e).removeprefix("Verification failed: ").split())[:200]
        return Finding(facts={}, failed=_failed(said), said=said)


def _failed(said: str) -> str:
    """The check that an error of dcap-qvl's is about."""
    return next((id for id, texts in ERRORS if any(text in said for text in texts)), "quote-form")


def _forecast(facts: dict[str, Any]) -> tuple[Forecast, ...]:
    if not facts:
        return ()
    until = min(facts["earliest_expiration_date"], facts["qe_iden_earliest_expiration_date"])
    reason = "a certificate, a revocation list, TCB info or the quoting enclave's identity ends"
    return (Forecast(id="collateral-validity", until=until, reason=reason),)


def _claims(quote: Quote, finding: Finding) -> Claims:
    return _sgx(quote, finding) if quote.tee == SGX else _tdx(quote, finding)


def _vendor(finding: Finding) -> dict[str, Any]:
    """What the vendor says of the machine."""
    absent = Unknown(reason=ABSENT)
    if not finding.facts:
        return {**dict.fromkeys(VENDOR, absent), "revoked": True if finding.failed == "revocation" else absent}
    tcb, platform = finding.facts["tcb"], finding.facts["platform"]
    pck = platform["pck"]
    instance = pck["platform_instance_id"]
    return {
        "tcb_status": tcb["status"],
        "tcb_date": platform["tcb_date_tag"],
        "advisories": tuple(sorted(tcb["advisory_ids"])),
        "tcb_evaluation_number": tcb["eval_data_number"],
        "fmspc": bytes(pck["fmspc"]),
        "ppid": bytes(pck["ppid"]),
        "chip_id": bytes(instance) if instance else bytes(pck["ppid"]),
        **{name: _flag(pck[name]) for name in FLAGS},
        "revoked": False,
    }


def _flag(said: str) -> bool | Unknown:
    return said == "True" if said in ("True", "False") else Unknown(reason="the machine's certificate does not say")


def _host_data(value: bytes) -> bytes:
    return value if any(value[32:]) else value[:32]


def _sgx(quote: Quote, finding: Finding) -> SgxClaims:
    report = SgxReport.from_bytes(quote.body)
    return SgxClaims(
        kind="sgx",
        measurement=report.mr_enclave,
        host_data=_host_data(report.config_id),
        report_data=report.report_data,
        debug=bool(report.attributes & 2),
        svn=report.isv_svn,
        mr_signer=report.mr_signer,
        isv_prod_id=report.isv_prod_id,
        isv_ext_prod_id=report.isv_ext_prod_id,
        isv_family_id=report.isv_family_id,
        config_svn=report.config_svn,
        attributes=Bits(report.attributes),
        xfrm=Bits(report.xfrm),
        misc_select=report.misc_select,
        **_vendor(finding),
    )


def _tdx(quote: Quote, finding: Finding) -> TdxClaims:
    report = TdReport.from_bytes(quote.body)
    none = Unknown(reason="reports of TDX 1.0 have none")
    return TdxClaims(
        kind="tdx",
        measurement=report.mr_td,
        host_data=_host_data(report.mr_config_id),
        report_data=report.report_data,
        debug=bool(report.td_attributes & 1),
        svn=report.tee_tcb_svn[0],
        version=quote.version,
        sept_ve_disable=bool(report.td_attributes >> 28 & 1),
        migratable=bool(report.td_attributes >> 29 & 1),
        td_attributes=Bits(report.td_attributes),
        xfam=Bits(report.xfam),
        mr_owner=report.mr_owner,
        mr_owner_config=report.mr_owner_config,
        rtmr0=report.rtmrs[0],
        rtmr1=report.rtmrs[1],
        rtmr2=report.rtmrs[2],
        rtmr3=report.rtmrs[3],
        mr_seam=report.mr_seam,
        mr_signer_seam=report.mr_signer_seam,
        seam_attributes=report.seam_attributes,
        tee_tcb_svn=report.tee_tcb_svn,
        mr_service_td=report.mr_service_td or none,
        **_vendor(finding),
    )
