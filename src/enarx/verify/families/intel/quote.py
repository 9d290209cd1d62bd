"""The checks of authenticity of Intel quotes (docs/attestation/sgx.md, tdx.md).

docs/adr/0009-verifier.md says why dcap-qvl does not do this. The tests compare the two.
"""

from __future__ import annotations

import hashlib

from enarx.formats.evidence.families.dcap import Quote
from enarx.verify.certificates import pin
from enarx.verify.examination import Ledger
from enarx.verify.families.intel import certificates
from enarx.verify.families.intel import collateral as intel
from enarx.verify.families.intel.case import Case
from enarx.verify.families.intel.collateral import Collateral
from enarx.verify.families.intel.roots import INTEL
from enarx.verify.families.intel.tcb import Evaluation, reached
from enarx.verify.roots import Roots
from enarx.verify.times import check_times

ENCLAVE_CHECKS = (
    "quoting-enclave",
    "root",
    "pck-chain",
    "qe-report",
    "attestation-key",
    "quote-signature",
    "collateral",
    "tcb-info",
    "qe-identity",
    "revocation-lists",
    "validity",
    "revocation",
    "qe-measurement",
    "qe-level",
    "model",
    "tcb-level",
)
DOMAIN_CHECKS = (*ENCLAVE_CHECKS[:-1], "tdx-module", "tcb-level", "current-tdx-module", "current-tcb-level")
"""The ids of all checks, in order: of an enclave's quote, and of a trust domain's."""

INTEL_QE = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")


def examine_quote(case: Case, *, roots: Roots, where: str, now: int) -> Ledger:
    """Make every check of the quote. `where` is the page of the docs that explains them."""
    root = pin(case.quote.chain[-1])
    pinned = root in roots.pins(INTEL)
    ids = ENCLAVE_CHECKS if case.domain is None else DOMAIN_CHECKS
    ledger = Ledger(ids, anchor="Intel SGX Root CA" if pinned else "none", where=where, now=now)
    _machine(ledger, case, root, pinned=pinned)
    _examine(ledger, case, now)
    return ledger


def _examine(ledger: Ledger, case: Case, now: int) -> None:
    _quoted(ledger, case.quote)
    collateral = case.collateral
    ledger.check(
        "collateral",
        lambda: True if collateral else None,
        wanted="collateral (JSON) for this machine",
        got="there" if collateral else f"malformed: {case.malformed}" if case.malformed else "none",
        hint="enarx endorsements fetch gets it from Intel",
    )
    if collateral is None:
        ledger.unreached()
        return
    _texts(ledger, case, collateral)
    _lists(ledger, case, now)
    _levels(ledger, case, collateral)


def _machine(ledger: Ledger, case: Case, root: bytes, *, pinned: bool) -> None:
    """The checks of the machine's certificates; `root` is the pin of the last one."""
    quote = case.quote
    ledger.check(
        "quoting-enclave",
        lambda: quote.qe_vendor_id == INTEL_QE,
        wanted=INTEL_QE.hex(),
        got=quote.qe_vendor_id.hex(),
        hint="another quoting enclave than Intel's made the quote",
    )
    ledger.check(
        "root",
        lambda: pinned,
        wanted="a pinned root",
        got=root.hex(),
        hint="the chain does not end in Intel's root",
    )
    ledger.check(
        "pck-chain",
        lambda: _chained(case),
        wanted="the certificates of a machine, its CA and the root, each signed by the next",
        got=", ".join(c.name if c else "not a certificate" for c in case.chain),
        needs="root",
        hint="certificates of another machine, or altered ones",
    )


def _chained(case: Case) -> bool:
    """Whether the chain is valid. The machine's certificate has to identify the machine, and may not sign certificates."""
    if len(case.chain) != 3 or case.machine is None:
        return False
    leaf, authority, root = case.chain
    if not leaf or not authority or not root or leaf.authority or leaf.name != certificates.PCK:
        return False
    named = authority.name in certificates.AUTHORITIES and root.name == certificates.ROOT
    return named and certificates.issued(root.der, authority.der) and certificates.issued(authority.der, leaf.der)


def _quoted(ledger: Ledger, quote: Quote) -> None:
    ledger.check(
        "qe-report",
        lambda: certificates.signed_raw(certificates.key(quote.chain[0]), quote.qe_signature, quote.qe_report),
        wanted="the quoting enclave's report, signed by the machine's key",
        got="the report",
        needs="pck-chain",
        hint="the quote was altered, or has another machine's certificate",
    )
    named = hashlib.sha256(quote.attestation_key + quote.qe_auth).digest().ljust(64, b"\0")
    ledger.check(
        "attestation-key",
        lambda: quote.qe_report[-64:] == named,
        wanted=quote.qe_report[-64:].hex(),
        got=named.hex(),
        needs="qe-report",
        hint="the quoting enclave does not vouch for the key",
    )
    ledger.check(
        "quote-signature",
        lambda: certificates.signed_raw(certificates.point(quote.attestation_key), quote.signature, quote.signed),
        wanted="made by that key",
        got="the quote",
        needs="attestation-key",
        hint="the quote was altered",
    )


def _texts(ledger: Ledger, case: Case, given: Collateral) -> None:
    root, tee = case.quote.chain[-1], case.quote.tee

    def by_intel(signer: bytes, signature: bytes, digest: bytes) -> bool:
        return intel.signer_issued(root, signer) and certificates.digest_signed(signer, signature, digest)

    ledger.check(
        "tcb-info",
        lambda: given.info.tee == tee and by_intel(given.info_signer, given.info_signature, given.info_digest),
        wanted=f"TCB info for TEE {tee:#x}, signed by {certificates.SIGNING}",
        got=f"TCB info for TEE {given.info.tee:#x}",
        needs=("root", "collateral"),
        hint="the collateral was altered, or is for another TEE",
    )
    ledger.check(
        "qe-identity",
        lambda: (
            given.identity.tee == tee
            and by_intel(given.identity_signer, given.identity_signature, given.identity_digest)
        ),
        wanted=f"the quoting enclave's identity for TEE {tee:#x}, signed by {certificates.SIGNING}",
        got=f"an identity for TEE {given.identity.tee:#x}",
        needs=("root", "collateral"),
        hint="the collateral was altered, or is for another TEE",
    )


def _lists(ledger: Ledger, case: Case, now: int) -> None:
    states = case.standings
    ledger.check(
        "revocation-lists",
        lambda: False if any(one.refused for one in states) else all(one.newest for one in states) or None,
        wanted="a list of the root, and one of the machine's CA",
        got=f"{sum(one.newest is not None for one in states)} that they signed",
        needs=("pck-chain", "collateral"),
        hint="the collateral is for machines of the other CA (processor or platform)",
    )
    check_times(
        ledger,
        "validity",
        case.periods,
        now,
        needs=("tcb-info", "qe-identity", "revocation-lists"),
        hint="fetch current collateral: enarx endorsements fetch",
    )
    ledger.check(
        "revocation",
        lambda: not any(one.revoked for one in states),
        wanted="not revoked",
        got="certificates of machine, CA and signers",
        needs=("tcb-info", "qe-identity", "revocation-lists"),
        hint="Intel has revoked one of the certificates: its signatures no longer count",
    )


def _levels(ledger: Ledger, case: Case, given: Collateral) -> None:
    machine, domain = case.machine, case.domain
    ledger.check(
        "qe-measurement",
        lambda: given.identity.is_of(case.enclave),
        wanted=f"signed by {given.identity.signer.hex()}, product {given.identity.product}",
        got=f"signed by {case.enclave.mr_signer.hex()}, product {case.enclave.isv_prod_id}",
        needs=("qe-report", "qe-identity"),
        hint="another quoting enclave than Intel's made the quote",
    )
    ledger.check(
        "qe-level",
        lambda: reached(given.identity.levels, case.enclave.isv_svn) is not None,
        wanted="a level of the quoting enclave's identity",
        got=f"version {case.enclave.isv_svn}",
        needs="qe-measurement",
    )
    ledger.check(
        "model",
        lambda: machine is not None and (machine.fmspc, machine.pce_id) == (given.info.fmspc, given.info.pce_id),
        wanted=f"FMSPC {given.info.fmspc.hex()}, PCE {given.info.pce_id.hex()}",
        got=f"FMSPC {machine.fmspc.hex()}, PCE {machine.pce_id.hex()}" if machine else "unknown",
        needs=("pck-chain", "tcb-info"),
        hint="the collateral is for another model of machine",
    )
    if domain is not None:
        ledger.check(
            "tdx-module",
            lambda: given.info.module(domain) is not None and _module_reached(case.launch, domain.tee_tcb_svn),
            wanted="a module that the TCB info knows: version, signer, attributes and level",
            got=f"versions {domain.tee_tcb_svn.hex()}, signer {domain.mr_signer_seam.hex()}",
            needs=("quote-signature", "model"),
            hint="the module is not Intel's, or older than any that Intel rates",
        )
    _platform(ledger, case, given, "tcb-level", case.launch, domain.tee_tcb_svn if domain else b"", "model")
    if domain is not None:
        _current(ledger, case, given, domain.tee_tcb_svn_2 or domain.tee_tcb_svn)


def _current(ledger: Ledger, case: Case, given: Collateral, versions: bytes) -> None:
    """The checks of the module that the machine has now."""
    ledger.check(
        "current-tdx-module",
        lambda: _module_reached(case.current, versions),
        wanted="a module that the TCB info knows: version and level",
        got=f"versions {versions.hex()}",
        needs=("quote-signature", "model"),
        hint="the machine went back to a module older than any that Intel rates",
    )
    _platform(ledger, case, given, "current-tcb-level", case.current, versions, ("quote-signature", "model"))


def _module_reached(evaluation: Evaluation, versions: bytes) -> bool:
    """Whether a module reaches a level. The platform's levels cover a module of major version 0."""
    return not versions[1] or evaluation.module is not None


def _platform(
    ledger: Ledger,
    case: Case,
    given: Collateral,
    id: str,
    evaluation: Evaluation,
    versions: bytes,
    needs: str | tuple[str, ...],
) -> None:
    machine, wanted, got = case.machine, "a level that the TCB info knows", "there"
    if machine is not None and evaluation.platform is None:
        wanted += f": {given.info.nearest(machine.components, machine.pce_svn, versions)}"
        got = f"SGX {bytes(machine.components).hex()}, PCE {machine.pce_svn}"
        got += f", TDX {versions.hex()}" if versions else ""
    ledger.check(
        id,
        lambda: evaluation.platform is not None,
        wanted=wanted,
        got=got,
        needs=needs,
        hint="the machine's firmware is older than any that Intel rates",
    )
