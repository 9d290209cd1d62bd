"""The checks of authenticity of TDX quotes (docs/attestation/tdx.md)."""

from __future__ import annotations

from typing import Any

from enarx.formats.evidence.tdx import Evidence
from enarx.verify.examination import Examination
from enarx.verify.families.intel.case import case_of, forecast, host_data, unused, vendor
from enarx.verify.families.intel.quote import DOMAIN_CHECKS, examine_quote
from enarx.verify.kinds.tdx.claims import TdxClaims
from enarx.verify.policy import Bits
from enarx.verify.result import Endorsements
from enarx.verify.roots import Roots

CHECKS = DOMAIN_CHECKS
WHERE = "docs/attestation/tdx.md"


def examine(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """Make the checks of docs/attestation/tdx.md on a quote of version 4 or 5. ParseError if the format is wrong."""
    quote = Evidence.from_bytes(evidence)
    case = case_of(quote.quote, endorsements, now, domain=quote.report)
    ledger = examine_quote(case, roots=roots, where=WHERE, now=now)
    claims = _claims(quote, vendor(case, ledger))
    return ledger.examination(claims, forecast=forecast(case), unused=unused(case, endorsements, now))


def _claims(evidence: Evidence, vendor: dict[str, Any]) -> TdxClaims:
    report = evidence.report
    return TdxClaims(
        kind="tdx",
        measurement=report.mr_td,
        host_data=host_data(report.mr_config_id),
        report_data=report.report_data,
        debug=bool(report.td_attributes & 0xFF),
        svn=report.tee_tcb_svn[0],
        version=evidence.quote.version,
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
        tee_tcb_svn_2=report.tee_tcb_svn_2 or report.tee_tcb_svn,
        mr_service_td=report.mr_service_td or bytes(48),
        current_service_td=report.current_service_td or bytes(48),
        **vendor,
    )
