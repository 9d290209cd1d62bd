"""The endorsements that a report needs from AMD: a description, which `enarx.endorsements` fetches."""

from __future__ import annotations

from enarx.errors import UsageError
from enarx.formats.evidence.snp import Report, split
from enarx.verify.families.amd import Request
from enarx.verify.kinds.snp.examine import ROLES, product_of, tcb_parts

OLD_PRODUCTS = ("milan", "genoa")
"""Reports before version 3 do not name their product: it is one of these."""


def request(evidence: bytes) -> Request:
    """The certificates and the revocation list for the report's signing key. ParseError; UsageError if AMD endorses no such key."""
    report = Report.from_bytes(split(evidence)[0])
    role = ROLES.get(report.signing_key)
    if role is None:
        raise UsageError("endorsements-key", "the report is signed by neither VCEK nor VLEK: nothing endorses it")
    if role == "vcek" and not any(report.chip_id):
        raise UsageError(
            "endorsements-chip", "the host masks the chip's id: without it, AMD cannot be asked for the certificate"
        )
    products = OLD_PRODUCTS if report.cpuid is None else (product_of(report.cpuid),)
    tcbs = tuple([(product, tcb_parts(report.reported_tcb, product)) for product in products])
    return Request(role=role, chip=report.chip_id, tcbs=tcbs)
