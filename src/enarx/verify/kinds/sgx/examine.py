"""The checks of authenticity of SGX quotes (docs/attestation/sgx.md)."""

from __future__ import annotations

from typing import Any

from enarx.formats.evidence.sgx import Evidence
from enarx.verify.examination import Examination
from enarx.verify.families.intel.case import case_of, forecast, host_data, unused, vendor
from enarx.verify.families.intel.quote import ENCLAVE_CHECKS, examine_quote
from enarx.verify.kinds.sgx.claims import SgxClaims
from enarx.verify.policy import Bits
from enarx.verify.result import Endorsements
from enarx.verify.roots import Roots

CHECKS = ENCLAVE_CHECKS
WHERE = "docs/attestation/sgx.md"


def examine(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """Make the checks of docs/attestation/sgx.md on a quote of version 3. ParseError if the format is wrong."""
    quote = Evidence.from_bytes(evidence)
    case = case_of(quote.quote, endorsements, now)
    ledger = examine_quote(case, roots=roots, where=WHERE, now=now)
    claims = _claims(quote, vendor(case, ledger))
    return ledger.examination(claims, forecast=forecast(case), unused=unused(case, endorsements, now))


def _claims(evidence: Evidence, vendor: dict[str, Any]) -> SgxClaims:
    report = evidence.report
    return SgxClaims(
        kind="sgx",
        measurement=report.mr_enclave,
        host_data=host_data(report.config_id),
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
        **vendor,
    )
