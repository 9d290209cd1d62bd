"""An Intel quote together with the collateral and revocation lists that apply to it, and the claims that follow from both."""

from __future__ import annotations

from typing import Any

from enarx.errors import ParseError
from enarx.formats.evidence.families.dcap import Quote, SgxReport
from enarx.record import record
from enarx.verify.examination import Ledger
from enarx.verify.families.intel import certificates
from enarx.verify.families.intel import collateral as intel
from enarx.verify.families.intel.certificates import Certificate
from enarx.verify.families.intel.collateral import Collateral
from enarx.verify.families.intel.machine import Machine
from enarx.verify.families.intel.machine import machine as machine_of
from enarx.verify.families.intel.tcb import Evaluation, SeamReport, reached, relaunched
from enarx.verify.result import Endorsements, Forecast, Unused
from enarx.verify.revocation import Authority, Standing, standing, unused_list
from enarx.verify.times import Period, outside, reason
from enarx.verify.unused import generally
from enarx.verify.unused import unused as unused_of
from enarx.verify.values import Unknown

FLAGS = ("dynamic_platform", "cached_keys", "smt_enabled")
VENDOR = ("tcb_status", "tcb_date", "advisories", "tcb_evaluation_number", "fmspc", "ppid", "chip_id", *FLAGS)
"""Claims that depend on Intel's collateral."""

OF_DOMAINS = (
    *("current_tcb_status", "current_tcb_date", "current_advisories"),
    *("module_status", "current_module_status"),
)
"""Such claims of trust domains alone."""

ABSENT = Unknown(reason="known only for authentic quotes")
NOTHING = Evaluation(None, None, None)


@record()
class Case:
    """A quote, the collateral that fits it best, and all revocation lists.

    domain       the report of a trust domain; None for an enclave's quote
    malformed    what is wrong with the first collateral that cannot be parsed
    authorities  the machine's CA and the root; empty without a chain of three certificates
    standings    what the lists say, for each of these
    launch, current
                 the levels reached at launch, and by what the machine has now
    """

    quote: Quote
    chain: tuple[Certificate | None, ...]
    machine: Machine | None
    enclave: SgxReport
    domain: SeamReport | None
    collateral: Collateral | None
    malformed: str
    authorities: tuple[Authority, ...]
    standings: tuple[Standing, ...]
    launch: Evaluation
    current: Evaluation


def case_of(quote: Quote, endorsements: Endorsements, now: int, *, domain: SeamReport | None = None) -> Case:
    """Combine a quote with the collateral among the endorsements that fits it best, and with all revocation lists."""
    machine, chain = machine_of(quote.chain[0]), tuple(map(certificates.certificate, quote.chain))
    collaterals, malformed = _parsed(endorsements)

    def fit(collateral: Collateral) -> tuple[bool, bool, bool, int, int, int]:
        """Rank collateral: it fits, is signed, is current, is the newest. The older of its two texts counts first."""
        info, identity = collateral.info, collateral.identity
        evaluation = min(info.evaluation, identity.evaluation)
        of_machine = machine is not None and (info.fmspc, info.pce_id) == (machine.fmspc, machine.pce_id)
        valid = intel.collateral_signed(collateral, quote.chain) and outside(periods(collateral), now) is None
        return info.tee == identity.tee == quote.tee, of_machine, valid, evaluation, info.evaluation, info.start

    best = max(collaterals, key=fit) if len(collaterals) > 1 else collaterals[0] if collaterals else None
    authorities = _authorities(chain, best)
    lists = tuple([parsed for data in endorsements for parsed in intel.lists_in(data)])
    enclave = SgxReport.from_bytes(quote.qe_report)
    launch, current = _evaluated(best, machine, enclave, domain)
    return Case(
        quote=quote,
        chain=chain,
        machine=machine,
        enclave=enclave,
        domain=domain,
        collateral=best,
        malformed=malformed,
        authorities=authorities,
        standings=tuple([standing(lists, authority, now) for authority in authorities]),
        launch=launch,
        current=current,
    )


def _parsed(endorsements: Endorsements) -> tuple[tuple[Collateral, ...], str]:
    """All collateral that can be parsed, and what is wrong with the first that cannot."""
    collaterals, wrong = list[Collateral](), ""
    for data in endorsements:
        try:
            collateral = intel.collateral(data)
        except ParseError as e:
            wrong = wrong or e.message
        else:
            if collateral is not None:
                collaterals.append(collateral)
    return tuple(collaterals), wrong


def _authorities(chain: tuple[Certificate | None, ...], given: Collateral | None) -> tuple[Authority, ...]:
    """The signers of revocation lists, with the serial numbers to look for: of the machine, its CA, the collateral's signers."""
    if len(chain) != 3 or None in chain:
        return ()
    leaf, authority, root = chain
    assert leaf and authority and root  # noqa: PT018  # none of them is None
    signers = map(certificates.certificate, (given.info_signer, given.identity_signer) if given else ())
    serials = (authority.serial, *(signer.serial for signer in signers if signer))
    return certificates.authority(authority, (leaf.serial,)), certificates.authority(root, serials)


def _evaluated(
    given: Collateral | None, machine: Machine | None, enclave: SgxReport, domain: SeamReport | None
) -> tuple[Evaluation, Evaluation]:
    """The levels reached at launch and now; the same if the report does not tell them apart."""
    if given is None or machine is None:
        return NOTHING, NOTHING
    level = reached(given.identity.levels, enclave.isv_svn)
    versions = domain.tee_tcb_svn if domain else b""
    launch = given.info.evaluated(machine.components, machine.pce_svn, versions, level)
    now = domain.tee_tcb_svn_2 if domain else b""
    if not now or now == versions:
        return launch, launch
    return launch, given.info.evaluated(machine.components, machine.pce_svn, now, level)


def periods(given: Collateral) -> tuple[Period, ...]:
    """The validity of both texts."""
    info, identity = given.info, given.identity
    return (
        Period(info.start, info.end, "the TCB info"),
        Period(identity.start, identity.end, "the quoting enclave's identity"),
    )


def spans(case: Case, given: Collateral) -> tuple[Period, ...]:
    """The validity of everything that has to be current; of revocation lists, the newest of each authority."""
    signers = (certificates.certificate(given.info_signer), certificates.certificate(given.identity_signer))
    return (
        *(each.period for each in (*case.chain, *dict.fromkeys(signers)) if each),
        *periods(given),
        *(
            Period(state.newest.start, state.newest.end, f"the revocation list of {authority.name}")
            for state, authority in zip(case.standings, case.authorities, strict=True)
            if state.newest
        ),
    )


def forecast(case: Case) -> tuple[Forecast, ...]:
    """When each of these expires, and how many levels the machine is behind."""
    given = case.collateral
    if given is None:
        return ()
    ends = [Forecast("validity", period.end, f"{period.name} ends") for period in spans(case, given)]
    level = case.launch.platform
    behind = given.info.levels.index(level) if level else 0
    if behind:
        ends.append(Forecast("tcb-status", None, f"{behind} levels behind the newest that Intel rates"))
    return tuple(ends)


def unused(case: Case, endorsements: Endorsements, now: int) -> tuple[Unused, ...]:
    """The endorsements that the verdict does not rest on, with reasons."""
    return unused_of(endorsements, set(), lambda data: _unused(case, data, now))


def _unused(case: Case, data: bytes, now: int) -> str:
    lists = intel.lists_in(data)
    flaws = [flaw for parsed in lists if (flaw := unused_list(parsed, case.authorities, now))]
    if data.lstrip()[:1] != b"{":
        return generally(data) if not lists else "".join(flaws)
    reasons = [*filter(None, [_not_chosen(case, data, now)]), *flaws]
    if reasons and len(flaws) < len(lists):
        reasons.append("its other revocation lists count" if flaws else "its revocation lists count")
    return "; ".join(reasons)


def _not_chosen(case: Case, data: bytes, now: int) -> str:
    """Why other collateral was used instead; empty if this collateral was used."""
    try:
        collateral = intel.collateral(data)
    except ParseError as e:
        return f"malformed: {e.message}"
    machine = case.machine
    if collateral is None or collateral is case.collateral:
        return ""
    if collateral.info.tee != case.quote.tee or collateral.identity.tee != case.quote.tee:
        return "collateral for another TEE"
    if machine is not None and (collateral.info.fmspc, collateral.info.pce_id) != (machine.fmspc, machine.pce_id):
        return "collateral for another model of machine"
    if not intel.collateral_signed(collateral, case.quote.chain):
        return "collateral that Intel did not sign"
    period = outside(periods(collateral), now)
    return reason(period, now) if period else "another is as new, or newer"


def vendor(case: Case, ledger: Ledger) -> dict[str, Any]:
    """The claims that depend on Intel's collateral; unknown unless the quote is authentic."""
    machine, given = case.machine, case.collateral
    revoked: bool | Unknown = ABSENT if (passed := ledger.passed("revocation")) is None else not passed
    names = VENDOR if case.domain is None else (*VENDOR, *OF_DOMAINS)
    if not ledger.all_passed or machine is None or given is None:
        return {**dict.fromkeys(names, ABSENT), "revoked": revoked}
    claims = {
        "tcb_status": relaunched(case.launch.status, case.current.status),
        "tcb_date": case.launch.date,
        "advisories": case.launch.advisories,
        "tcb_evaluation_number": min(given.info.evaluation, given.identity.evaluation),
        "fmspc": machine.fmspc,
        "ppid": machine.ppid,
        "chip_id": machine.instance or machine.ppid,
        "dynamic_platform": _flag(machine.dynamic),
        "cached_keys": _flag(machine.cached_keys),
        "smt_enabled": _flag(machine.smt),
        "revoked": revoked,
    }
    return claims if case.domain is None else claims | _of_domain(case)


def _of_domain(case: Case) -> dict[str, Any]:
    """The claims of trust domains alone: the current levels, and those of the TDX modules."""
    launch, current = case.launch.module, case.current.module
    assert launch is not None and current is not None  # noqa: PT018  # all checks have passed
    return {
        "current_tcb_status": case.current.status,
        "current_tcb_date": case.current.date,
        "current_advisories": case.current.advisories,
        "module_status": launch.status,
        "current_module_status": current.status,
    }


def _flag(flag: bool | None) -> bool | Unknown:
    return Unknown(reason="the machine's certificate does not say") if flag is None else flag


def host_data(value: bytes) -> bytes:
    """Launch data in the common form: the first 32 bytes of a field if the rest is zeros, else all of it."""
    return value if any(value[32:]) else value[:32]
