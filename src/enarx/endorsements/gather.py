"""What endorses a piece of evidence, from the vendor of its machine."""

from __future__ import annotations

from collections.abc import Callable

from enarx.endorsements.amd import Kds
from enarx.endorsements.describe import described
from enarx.endorsements.intel import Pcs
from enarx.errors import UnavailableError, UsageError
from enarx.formats.bundle import Bundle, Item
from enarx.formats.evidence.families.azure import Evidence
from enarx.formats.evidence.families.dcap import Quote
from enarx.formats.evidence.snp import Report, split
from enarx.verify.families.intel import collateral as intel
from enarx.verify.kinds.snp.examine import ROLES, parts_of, product_of

OLD_PRODUCTS = ("milan", "genoa")
"""Reports before version 3 do not say of which product they are."""

WITHOUT = {
    "nitro": "its documents carry their certificates",
    "cca": "there is no public root; give the platform's key with --trust-anchor",
    "tpm": "the key is what you know of the TPM; give it with --trust-anchor",
    "simulated": "there is nobody to endorse it",
}
"""Kinds that nothing is fetched for, and why."""


def gather(kind: str, evidence: bytes, *, kds: Callable[[], Kds], pcs: Callable[[], Pcs]) -> Bundle:
    """Everything that verifying this evidence needs and its vendor has. ParseError, UsageError, UnavailableError."""
    match kind:
        case "snp":
            found = _amd(kds(), split(evidence)[0])
        case "az-snp-vtpm":
            found = _amd(kds(), Evidence.from_bytes(evidence).hcl.report)
        case "sgx" | "tdx":
            found = (_intel(pcs(), evidence),)
        case "az-tdx-vtpm":
            found = (_intel(pcs(), Evidence.from_bytes(evidence).td_quote),)
        case _:
            why = WITHOUT.get(kind, "not a kind of evidence")
            raise UsageError("endorsements-kind", f"nothing is fetched for evidence of kind {kind[:40]}: {why}")
    return Bundle(items=found)


def _amd(kds: Kds, data: bytes) -> tuple[Item, ...]:
    report = Report.from_bytes(data)
    role = ROLES.get(report.signing_key)
    if role is None:
        raise UsageError("endorsements-key", "the report is signed by neither VCEK nor VLEK: nothing endorses it")
    products = OLD_PRODUCTS if report.cpuid is None else (product_of(report.cpuid),)
    own: tuple[bytes, ...] = ()
    if role == "vlek":  # the host has it from its provider; the vendor gives out what is above
        product = products[0]
    elif not any(report.chip_id):
        raise UsageError("endorsements-chip", "the host masks the chip's id: nobody can ask for its certificate")
    else:
        product, vcek = _vcek(kds, products, report)
        own = (vcek,)
    pieces = (*own, *kds.issuers(product, role), kds.crl(product, role))
    return tuple(described(piece, "AMD KDS") for piece in pieces)


def _vcek(kds: Kds, products: tuple[str, ...], report: Report) -> tuple[str, bytes]:
    """The certificate from the first product that has one for this chip."""
    for product in products[:-1]:
        try:
            return product, kds.vcek(product, report.chip_id, parts_of(report.reported_tcb, product))
        except UnavailableError as e:
            if e.code != "endorsement-unknown":
                raise
    product = products[-1]
    return product, kds.vcek(product, report.chip_id, parts_of(report.reported_tcb, product))


def _intel(pcs: Pcs, data: bytes) -> Item:
    quote = Quote.from_bytes(data)
    leaf, machine = intel.certificate(quote.chain[0]), intel.machine(quote.chain[0])
    authority = intel.certificate(quote.chain[1]) if len(quote.chain) > 1 else None
    if leaf is None or machine is None or authority is None or authority.name not in intel.AUTHORITIES:
        raise UsageError("endorsements-machine", "the certificates in the quote do not say which machine made it")
    kind = "platform" if authority.name == intel.AUTHORITIES[0] else "processor"
    return described(pcs.collateral(quote.tee, machine, kind), "Intel PCS")
