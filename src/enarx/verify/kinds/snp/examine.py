"""The checks of authenticity of SEV-SNP reports (docs/attestation/snp.md)."""

from __future__ import annotations

from itertools import islice

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from enarx.formats.evidence.snp import Report, split
from enarx.record import as_dict
from enarx.verify.certificates import p384_signed, pin
from enarx.verify.examination import Examination, Ledger
from enarx.verify.families import amd
from enarx.verify.families.amd import Certificate, Revocation
from enarx.verify.kinds.snp.claims import NEWEST, PRODUCTS, Parts, SnpClaims, Tcb
from enarx.verify.kinds.snp.roots import AMD
from enarx.verify.memo import memo
from enarx.verify.policy import Bits
from enarx.verify.result import Endorsements, Forecast
from enarx.verify.revocation import Authority, revocation_list, unused_list
from enarx.verify.roots import Roots
from enarx.verify.times import check_times
from enarx.verify.unused import generally, unused
from enarx.verify.values import Unknown

WHERE = "docs/attestation/snp.md"
CHECKS = (
    "signing-certificate",
    "product",
    "certificate-tcb",
    "certificate-chip",
    "signature-form",
    "signature",
    "issuers",
    "root",
    "chain",
    "validity",
    "revocation",
)
"""The ids of all checks, in order."""

ROLES = {0: "vcek", 1: "vlek"}
ISSUERS = {"vcek": "ask", "vlek": "asvk"}
ECDSA_P384_SHA384 = 1
LIMIT = 1 << 384
MAX_PAIRS = 64
"""Pairs of issuer and root to try at most: more are an attack, not a mistake."""

NOTHING_TO_REVOKE = Revocation(revoked=None, end=None, reason="there is no chain to look for on a list")
CPUID = {(0x19, 0x0): "milan", (0x19, 0x1): "genoa", (0x19, 0xA): "genoa", (0x1A, 0x0): "turin", (0x1A, 0x1): "turin"}
"""Product by CPU family and upper half of the model."""


def examine(evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
    """1. The certificate of the key that the report names, VCEK or VLEK, is available.
    2. The certificate and the report's CPUID belong to one product.
    3. The certificate is for the TCB that the report states.
    4. It is for the report's chip. A VLEK names the provider instead. Not checked if the host masks the chip's id.
    5. The signature is ECDSA P-384 with SHA-384, and its halves are in range.
    6. The certificate's key made the signature.
    7. The certificates of the issuer and of the root are available.
    8. The root is pinned.
    9. The root signed the issuer, and the issuer the certificate (RSA-PSS with SHA-384), all of one product.
    10. All three are valid at `now` (unix seconds).
    11. No current list signed by the root revokes either. Not checked without such a list.

    `evidence` is a report, or an extended report, whose table of certificates counts as endorsements. ParseError if the format
    is wrong.
    """
    report_bytes, beside = split(evidence)
    report = Report.from_bytes(report_bytes)
    given = amd.sort(endorsements + beside)
    chain = _chain(report, given.certificates, roots)
    signer, issuer, root = chain
    authority = amd.authority(root, (issuer, signer)) if signer and issuer and root else None
    revoked = amd.revocation(given.lists, authority, now) if authority else NOTHING_TO_REVOKE
    root_pin = pin(root.der) if root else None
    pinned = root_pin in roots.pins(AMD)
    anchor = f"AMD ARK-{root.product.capitalize()}" if root and pinned else "none"
    ledger = Ledger(CHECKS, anchor=anchor, where=WHERE, now=now)
    _check_certificate(ledger, report, signer)
    if signer is None:
        ledger.unreached()
    else:
        _check_agreement(ledger, report, signer)
        _check_signature(ledger, report, signer)
        _check_issuers(ledger, chain, root_pin, pinned=pinned)
        _check_chain(ledger, chain, revoked, now)
    claims = _claims(report, signer, revoked)
    return ledger.examination(
        claims,
        forecast=_forecast(chain, revoked, _lacking_updates(report.committed_tcb, claims.product)),
        unused=unused(endorsements, {c.der for c in chain if c}, lambda der: _unused(der, authority, now)),
    )


def _unused(der: bytes, authority: Authority | None, now: int) -> str:
    if (of := amd.certificate(der)) is not None:
        return f"a certificate that the chain does not need: {of.name if of.role else 'not of the vendor'}"
    parsed = revocation_list(der)
    if parsed is None:
        return generally(der)
    return unused_list(parsed, (authority,) if authority else (), now)


Chain = tuple[Certificate | None, Certificate | None, Certificate | None]


def _chain(report: Report, certificates: tuple[Certificate, ...], roots: Roots) -> Chain:
    """The certificate that fits the report best, its issuer and the root; None for those that are missing.

    Of several issuers and roots with the same name, those that form a valid chain to a pinned root.
    """
    role = ROLES.get(report.signing_key, "none")
    signers = [c for c in certificates if c.role == role]
    if not signers:
        return None, None, None
    signer = max(signers, key=lambda c: _fitness(c, report)) if len(signers) > 1 else signers[0]
    issuers = [c for c in certificates if c.role == ISSUERS[role] and c.subject == signer.issuer]
    fitting = ((i, a) for i in issuers for a in certificates if a.role == "ark" and a.subject == i.issuer)
    pairs = list(islice(fitting, MAX_PAIRS))
    if not pairs:
        return signer, issuers[0] if issuers else None, None
    if len(pairs) == 1:
        return signer, *pairs[0]
    return signer, *max(pairs, key=lambda p: _chain_rank(p, signer, roots))


def _chain_rank(pair: tuple[Certificate, Certificate], signer: Certificate, roots: Roots) -> tuple[bool, bool]:
    issuer, root = pair
    pinned = pin(root.der) in roots.pins(AMD)
    return pinned, pinned and amd.chain_holds(root.der, issuer.der, signer.der)


def _fitness(certificate: Certificate, report: Report) -> tuple[bool, bool, bool]:
    of_product = report.cpuid is not None and product_of(report.cpuid) == certificate.product
    of_tcb = tcb_parts(report.reported_tcb, certificate.product) == certificate.parts
    return of_product, _is_for(certificate, report), of_tcb


def _is_for(certificate: Certificate, report: Report) -> bool:
    """Whether the certificate is for the report's chip. Turin's ids have 8 bytes, followed by zeros in the report."""
    return _has_expected_id_size(certificate) and report.chip_id == certificate.hwid.ljust(64, b"\0")


def _has_expected_id_size(certificate: Certificate) -> bool:
    return len(certificate.hwid) == amd.HWID_SIZES.get(certificate.product, 64)


def tcb_parts(tcb: bytes, product: str) -> tuple[int, ...]:
    """The parts of a TCB in the order of `Parts`, by the product's layout; -1 for a part that it lacks."""
    if product == "turin":
        return tcb[0], tcb[1], tcb[2], tcb[3], tcb[7]
    return -1, tcb[0], tcb[1], tcb[6], tcb[7]


def _check_certificate(ledger: Ledger, report: Report, signer: Certificate | None) -> None:
    role = ROLES.get(report.signing_key)
    ledger.check(
        "signing-certificate",
        lambda: False if role is None or report.chip_key_masked else (True if signer else None),
        wanted=f"a {role.upper()}'s certificate" if role else "a report that a VCEK or a VLEK signed",
        got="masked by the host" if report.chip_key_masked else "there" if signer else "none",
        hint="enarx endorsements fetch gets it from AMD; the host's certificate table may have it",
    )


def _check_agreement(ledger: Ledger, report: Report, signer: Certificate) -> None:
    product = product_of(report.cpuid) if report.cpuid else signer.product
    ledger.check(
        "product",
        lambda: product == signer.product and product in PRODUCTS,
        wanted=product,
        got=signer.product,
        needs="signing-certificate",
        hint="the certificate is for a machine of another product",
    )
    stated = tcb_parts(report.reported_tcb, signer.product)
    ledger.check(
        "certificate-tcb",
        lambda: signer.parts == stated,
        wanted=stated,
        got=signer.parts,
        needs="product",
        hint="the certificate is for another TCB of this machine: fetch the one for the reported TCB",
    )
    ledger.check(
        "certificate-chip",
        lambda: _names_machine(signer, report),
        wanted="a provider" if signer.role == "vlek" else report.chip_id,
        got=signer.csp_id or signer.hwid,
        needs="signing-certificate",
        hint="the certificate is for another machine",
    )


def _names_machine(signer: Certificate, report: Report) -> bool | None:
    """Whether the certificate is for the report's chip, or a provider's; None if the host masks the chip's id."""
    if signer.role == "vlek":
        return bool(signer.csp_id)
    if _has_expected_id_size(signer) and not any(report.chip_id):
        return None
    return _is_for(signer, report)


def _check_issuers(ledger: Ledger, chain: Chain, root_pin: bytes | None, *, pinned: bool) -> None:
    _, issuer, root = chain
    ledger.check(
        "issuers",
        lambda: True if root else None,
        wanted="ASK or ASVK, and ARK, of the certificate's product",
        got="there" if root else "none" if issuer is None else "no ARK",
        needs="signing-certificate",
        hint="the vendor's cert_chain of the product",
    )
    ledger.check(
        "root",
        lambda: pinned,
        wanted="a pinned root",
        got=root_pin or "none",
        needs="issuers",
        hint="the chain does not end in AMD's root",
    )


def _check_chain(ledger: Ledger, links: Chain, revoked: Revocation, now: int) -> None:
    chain = [c for c in reversed(links) if c]
    ledger.check(
        "chain",
        lambda: _is_valid_chain(links),
        wanted="each signed by the one before, of one product",
        got=", ".join([c.name for c in chain]),
        needs="root",
        hint="certificates of another product, or altered ones",
    )
    check_times(
        ledger,
        "validity",
        tuple([c.period for c in chain]),
        now,
        needs="chain",
        hint="a VLEK is valid for a year: get the current one, and request a new report",
    )
    ledger.check(
        "revocation",
        lambda: None if revoked.revoked is None else not revoked.revoked,
        wanted="not revoked",
        got=revoked.reason,
        needs="chain",
        hint="enarx endorsements fetch gets a current list"
        if revoked.revoked is None
        else "AMD has revoked a key of the chain: its signatures no longer count",
    )


def _is_valid_chain(chain: Chain) -> bool:
    signer, issuer, root = chain
    assert signer is not None and issuer is not None and root is not None  # noqa: PT018  # the root is pinned
    return signer.product == issuer.product == root.product and amd.chain_holds(root.der, issuer.der, signer.der)


def product_of(cpuid: tuple[int, int, int]) -> str:
    """The product of a CPU, by the family and model of its CPUID."""
    return CPUID.get((cpuid[0], cpuid[1] >> 4), f"family {cpuid[0]:#x} model {cpuid[1]:#x}")


def _check_signature(ledger: Ledger, report: Report, signer: Certificate) -> None:
    formed = report.signature_algorithm == ECDSA_P384_SHA384 and 0 < report.r < LIMIT and 0 < report.s < LIMIT
    ledger.check(
        "signature-form",
        lambda: formed,
        wanted="algorithm 1, r and s of 384 bits and not zero",
        got=f"algorithm {report.signature_algorithm}, r of {report.r.bit_length()} bits, s of {report.s.bit_length()}",
        needs="signing-certificate",
        hint="AMD's firmware does not make such signatures",
    )
    ledger.check(
        "signature",
        lambda: p384_signed(signer.der, encode_dss_signature(report.r, report.s), report.signed),
        wanted=f"made by the {signer.role.upper()}",
        got="the report",
        needs="signature-form",
        hint="the report was altered, or another machine made it",
    )


def _forecast(chain: Chain, revoked: Revocation, behind: str) -> tuple[Forecast, ...]:
    """When each certificate and list expires, and whether the machine lacks known updates."""
    ends = [c.ends for c in chain if c]
    if revoked.end is not None:
        ends.append(Forecast(id="revocation", until=revoked.end, reason="the revocation list ends"))
    if behind:
        ends.append(Forecast(id="committed-tcb", until=None, reason=behind))
    return tuple(ends)


def _lacking_updates(tcb: bytes, product: str) -> str:
    """The parts of a TCB that are behind the newest known for the product; empty if none is, or the product is unknown."""
    if product not in NEWEST:
        return ""
    newest = as_dict(NEWEST[product])
    has = dict(zip(newest, tcb_parts(tcb, product), strict=True))
    parts = [f"{name} {has[name]} ({newest[name]})" for name in newest if 0 <= has[name] < newest[name]]
    return f"behind the newest that is known here: {', '.join(parts)}" if parts else ""


@memo(max_bytes=1 << 16)
def _tcb(tcb: bytes, product: str) -> Tcb:
    fmc, bootloader, tee, snp, microcode = tcb_parts(tcb, product)
    parts = Parts(fmc=max(fmc, 0), bootloader=bootloader, tee=tee, snp=snp, microcode=microcode)
    return Tcb(**{product: parts}) if product in PRODUCTS else Tcb()


def _claims(report: Report, signer: Certificate | None, revoked: Revocation) -> SnpClaims:
    product = product_of(report.cpuid) if report.cpuid else signer.product if signer else "unknown"
    policy, platform = report.policy >> 16, report.platform_info
    masked = not any(report.chip_id)
    none = Unknown(reason=f"reports of version {report.version} have none")
    return SnpClaims(
        kind="snp",
        measurement=report.measurement,
        host_data=report.host_data,
        report_data=report.report_data,
        debug=policy & 0x8 != 0,
        svn=report.guest_svn,
        chip_id=Unknown(reason="the host masks the chip's id") if masked else report.chip_id,
        version=report.version,
        product=product,
        signing_key=ROLES.get(report.signing_key, "none"),
        vmpl=report.vmpl,
        family_id=report.family_id,
        image_id=report.image_id,
        policy_migration_agent=policy & 0x4 != 0,
        policy_smt=policy & 0x1 != 0,
        policy_single_socket=policy & 0x10 != 0,
        policy_cxl=policy & 0x20 != 0,
        policy_aes_256_xts=policy & 0x40 != 0,
        policy_rapl_disabled=policy & 0x80 != 0,
        policy_ciphertext_hiding=policy & 0x100 != 0,
        policy_page_swap_disabled=policy & 0x200 != 0,
        policy_abi=report.policy & 0xFFFF,
        platform_smt=platform & 0x1 != 0,
        platform_tsme=platform & 0x2 != 0,
        platform_ecc=platform & 0x4 != 0,
        platform_rapl_disabled=platform & 0x8 != 0,
        platform_ciphertext_hiding=platform & 0x10 != 0,
        platform_alias_check=platform & 0x20 != 0,
        platform_tio=platform & 0x80 != 0,
        id_key_digest=report.id_key_digest,
        author_key_digest=report.author_key_digest,
        report_id=report.report_id,
        report_id_ma=report.report_id_ma,
        reported_tcb=_tcb(report.reported_tcb, product),
        committed_tcb=_tcb(report.committed_tcb, product),
        launch_tcb=_tcb(report.launch_tcb, product),
        current_tcb=_tcb(report.current_tcb, product),
        launch_mitigations=Bits(report.launch_mitigations) if report.version >= 5 else none,
        current_mitigations=Bits(report.current_mitigations) if report.version >= 5 else none,
        csp_id=signer.csp_id if signer else "",
        revoked=Unknown(reason=revoked.reason) if revoked.revoked is None else revoked.revoked,
    )
