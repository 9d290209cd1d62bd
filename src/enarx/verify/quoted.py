"""One Intel quote with what there is to judge it by, and what both say together."""

from __future__ import annotations

from typing import Any

from enarx.errors import ParseError
from enarx.formats.evidence.dcap import TDX, Quote, SgxReport, TdReport
from enarx.record import record
from enarx.verify import intel
from enarx.verify.examination import Ledger
from enarx.verify.intel import Certificate, Collateral, Machine
from enarx.verify.policies.sgx import SgxClaims
from enarx.verify.policies.tdx import TdxClaims
from enarx.verify.policy import Bits
from enarx.verify.result import Endorsements, Forecast, Unknown
from enarx.verify.tcb import OUT_OF_DATE, TO_CONFIGURE, Level, reached, together

FLAGS = ("dynamic_platform", "cached_keys", "smt_enabled")
VENDOR = ("tcb_status", "tcb_date", "advisories", "tcb_evaluation_number", "fmspc", "ppid", "chip_id", *FLAGS)
"""Claims that rest on the vendor's word."""

ABSENT = "the quote is not authentic, or that is not known"


@record()
class Case:
    """A quote with what there is to judge it by: the collateral that fits best, and all that was given, for any list may revoke.

    `domain` is the report of a trust domain, None for an enclave's quote.
    """

    quote: Quote
    chain: tuple[Certificate | None, ...]
    machine: Machine | None
    enclave: SgxReport
    domain: TdReport | None
    collateral: Collateral | None
    given: tuple[Collateral, ...]

    @property
    def levels(self) -> tuple[Level | None, ...]:
        """Of platform, quoting enclave, and module if it has levels of its own; None for what reaches none."""
        machine, collateral, domain = self.machine, self.collateral, self.domain
        if machine is None or collateral is None:
            return (None, None)
        svn = domain.tee_tcb_svn if domain else b""
        found = (
            collateral.info.level(machine.components, machine.pce_svn, svn),
            reached(collateral.identity.levels, self.enclave.isv_svn),
        )
        if domain is None or not svn[1]:
            return found
        module = collateral.info.module(domain)
        return (*found, reached(module.levels, svn[0]) if module else None)


def case_of(evidence: bytes, tee: int, endorsements: Endorsements, now: int) -> Case:
    """The quote of these bytes, and of several collaterals the one that fits best. ParseError."""
    quote = Quote.from_bytes(evidence)
    if quote.tee != tee:
        raise ParseError("quote-tee", f"a quote of TEE {quote.tee:#x}, wanted {tee:#x}", what="Intel quote")
    machine = intel.machine(quote.chain[0])
    given = _given(endorsements)

    def fit(one: Collateral) -> tuple[bool, bool, bool, int, int]:
        """The newest of those that fit, are signed, and hold."""
        info = one.info
        of_machine = machine is not None and (info.fmspc, info.pce_id) == (machine.fmspc, machine.pce_id)
        held = intel.collateral_signed(one, quote.chain) and all(start <= now <= end for start, end in dates(one))
        return info.tee == one.identity.tee == tee, of_machine, held, info.evaluation, info.start

    return Case(
        quote=quote,
        chain=tuple(map(intel.certificate, quote.chain)),
        machine=machine,
        enclave=SgxReport.from_bytes(quote.qe_report),
        domain=TdReport.from_bytes(quote.body) if tee == TDX else None,
        collateral=max(given, key=fit) if len(given) > 1 else given[0] if given else None,
        given=given,
    )


def _given(endorsements: Endorsements) -> tuple[Collateral, ...]:
    """What there is of collateral; one that can not be read counts only if there is no other."""
    found, wrong = list[Collateral](), list[ParseError]()
    for data in endorsements:
        try:
            one = intel.collateral(data)
        except ParseError as e:
            wrong.append(e)
        else:
            if one is not None:
                found.append(one)
    if wrong and not found:
        raise wrong[0]
    return tuple(found)


def dates(given: Collateral) -> tuple[tuple[int, int], ...]:
    """From, to (unix seconds) of all that it has."""
    parts = (given.info, given.identity, given.machines, given.authorities)
    return tuple((part.start, part.end) for part in parts)


def spans(case: Case, given: Collateral) -> list[tuple[int, int, str]]:
    """From, to (unix seconds) and name of everything that has to hold."""
    signers = (intel.certificate(given.info_signer), intel.certificate(given.identity_signer))
    return [
        *((c.start, c.end, f"the certificate {c.name} ends") for c in (*case.chain, *dict.fromkeys(signers)) if c),
        (given.info.start, given.info.end, "the TCB info ends"),
        (given.identity.start, given.identity.end, "the quoting enclave's identity ends"),
        (given.machines.start, given.machines.end, "the revocation list of the machines ends"),
        (given.authorities.start, given.authorities.end, "the revocation list of the root ends"),
    ]


def forecast(case: Case) -> tuple[Forecast, ...]:
    """When what it rests on ends, and how far the machine is behind."""
    given = case.collateral
    if given is None:
        return ()
    ends = [Forecast("validity", end, reason) for _, end, reason in spans(case, given)]
    found = case.levels[0]
    behind = given.info.levels.index(found) if found else 0
    if behind:
        ends.append(Forecast("tcb-status", None, f"{behind} levels behind the newest that the vendor knows"))
    return tuple(ends)


def vendor(case: Case, ledger: Ledger) -> dict[str, Any]:
    """What the vendor says of the machine."""
    absent = Unknown(reason=ABSENT)
    machine, given = case.machine, case.collateral
    levels = [level for level in case.levels if level is not None]
    revoked: bool | Unknown = absent if (found := ledger.passed("revocation")) is None else not found
    if not ledger.all_passed or machine is None or given is None:
        return {**dict.fromkeys(VENDOR, absent), "revoked": revoked}
    statuses = [level.status for level in levels]
    behind = [level.date for level in levels if level.status in (OUT_OF_DATE, TO_CONFIGURE)]
    return {
        "tcb_status": together(statuses[0], tuple(statuses[1:])),
        "tcb_date": min(behind, default=levels[0].date),
        "advisories": tuple(sorted({advisory for level in levels for advisory in level.advisories})),
        "tcb_evaluation_number": min(given.info.evaluation, given.identity.evaluation),
        "fmspc": machine.fmspc,
        "ppid": machine.ppid,
        "chip_id": machine.instance or machine.ppid,
        "dynamic_platform": _flag(machine.dynamic),
        "cached_keys": _flag(machine.cached_keys),
        "smt_enabled": _flag(machine.smt),
        "revoked": revoked,
    }


def _flag(said: bool | None) -> bool | Unknown:
    return Unknown(reason="the machine's certificate does not say") if said is None else said


def _host_data(value: bytes) -> bytes:
    return value if any(value[32:]) else value[:32]


def sgx_claims(case: Case, vendor: dict[str, Any]) -> SgxClaims:
    """Of an enclave."""
    report = SgxReport.from_bytes(case.quote.body)
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
        **vendor,
    )


def tdx_claims(case: Case, vendor: dict[str, Any]) -> TdxClaims:
    """Of a trust domain."""
    report = TdReport.from_bytes(case.quote.body)
    return TdxClaims(
        kind="tdx",
        measurement=report.mr_td,
        host_data=_host_data(report.mr_config_id),
        report_data=report.report_data,
        debug=bool(report.td_attributes & 0xFF),
        svn=report.tee_tcb_svn[0],
        version=case.quote.version,
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
        mr_service_td=report.mr_service_td or bytes(48),
        current_service_td=report.current_service_td or bytes(48),
        **vendor,
    )
