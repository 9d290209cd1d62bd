"""An Intel quote together with the collateral and revocation lists that apply to it, and the claims that follow from both."""

from __future__ import annotations

from typing import Any

from enarx.formats.evidence.families.dcap import Quote, SgxReport
from enarx.record import record
from enarx.verify.examination import Ledger
from enarx.verify.families.intel import certificates
from enarx.verify.families.intel import collateral as intel
from enarx.verify.families.intel.certificates import Certificate
from enarx.verify.families.intel.collateral import Collateral, Opened
from enarx.verify.families.intel.machine import Machine
from enarx.verify.families.intel.machine import machine as machine_of
from enarx.verify.families.intel.tcb import Evaluation, SeamReport, reached, relaunched
from enarx.verify.result import Endorsements, Forecast, Unused
from enarx.verify.revocation import Authority, Standing, standing, unused_list
from enarx.verify.times import Period, outside, reason
from enarx.verify.unused import generally
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
    opened       the content of each endorsement
    authorities  the machine's CA and the root; empty without a chain of three certificates
    standings    what the lists say, for each of these
    periods      the validity of everything that has to be current; empty without collateral
    launch, current
                 the levels reached at launch, and by what the machine has now
    """

    quote: Quote
    chain: tuple[Certificate | None, ...]
    machine: Machine | None
    enclave: SgxReport
    domain: SeamReport | None
    opened: tuple[Opened, ...]
    collateral: Collateral | None
    authorities: tuple[Authority, ...]
    standings: tuple[Standing, ...]
    periods: tuple[Period, ...]
    launch: Evaluation
    current: Evaluation

    @property
    def malformed(self) -> str:
        """What is wrong with the first collateral that cannot be parsed; empty if all can."""
        return next((one.malformed for one in self.opened if one.malformed), "")


def case_of(quote: Quote, endorsements: Endorsements, now: int, *, domain: SeamReport | None = None) -> Case:
    """Combine a quote with the collateral among the endorsements that fits it best, and with all revocation lists."""
    machine, chain = machine_of(quote.chain[0]), tuple(map(certificates.certificate, quote.chain))
    opened = tuple(map(intel.opened, endorsements))
    given = [one.collateral for one in opened if one.collateral]

    def fit(one: Collateral) -> tuple[bool, bool, bool, int, int, int]:
        """Rank collateral: it fits, is signed, is current, is the newest. Its older text counts first, as texts can be mixed."""
        info, evaluation = one.info, min(one.info.evaluation, one.identity.evaluation)
        of_machine = machine is not None and (info.fmspc, info.pce_id) == (machine.fmspc, machine.pce_id)
        held = intel.collateral_signed(one, quote.chain) and outside(_of_texts(one), now) is None
        return info.tee == one.identity.tee == quote.tee, of_machine, held, evaluation, info.evaluation, info.start

    best = max(given, key=fit) if len(given) > 1 else given[0] if given else None
    ders = dict.fromkeys((best.info_signer, best.identity_signer)) if best else ()  # nearly always the same
    signers = tuple(map(certificates.certificate, ders))
    authorities = _authorities(chain, signers)
    lists = tuple([one for content in opened for one in content.lists])
    standings = tuple([standing(lists, authority, now) for authority in authorities])
    enclave = SgxReport.from_bytes(quote.qe_report)
    launch, current = _evaluated(best, machine, enclave, domain)
    return Case(
        quote=quote,
        chain=chain,
        machine=machine,
        enclave=enclave,
        domain=domain,
        opened=opened,
        collateral=best,
        authorities=authorities,
        standings=standings,
        periods=_periods((*chain, *signers), best, authorities, standings) if best else (),
        launch=launch,
        current=current,
    )


def _authorities(
    chain: tuple[Certificate | None, ...], signers: tuple[Certificate | None, ...]
) -> tuple[Authority, ...]:
    """The signers of revocation lists, with the serial numbers to look for: of the machine, its CA, the collateral's signers."""
    if len(chain) != 3 or None in chain:
        return ()
    leaf, authority, root = chain
    assert leaf and authority and root  # noqa: PT018  # none of them is None
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


def _periods(
    chain: tuple[Certificate | None, ...],
    given: Collateral,
    authorities: tuple[Authority, ...],
    standings: tuple[Standing, ...],
) -> tuple[Period, ...]:
    """The validity of certificates, of both texts, and of the newest list of each authority."""
    lists = [
        Period(state.newest.start, state.newest.end, f"the revocation list of {authority.name}")
        for state, authority in zip(standings, authorities, strict=True)
        if state.newest
    ]
    return (*[one.period for one in chain if one], *_of_texts(given), *lists)


def _of_texts(given: Collateral) -> tuple[Period, ...]:
    info, identity = given.info, given.identity
    return (
        Period(info.start, info.end, "the TCB info"),
        Period(identity.start, identity.end, "the quoting enclave's identity"),
    )


def forecast(case: Case) -> tuple[Forecast, ...]:
    """When each of these expires, and how many levels the machine is behind."""
    given = case.collateral
    if given is None:
        return ()
    ends = [Forecast("validity", period.end, f"{period.name} ends") for period in case.periods]
    level = case.launch.platform
    behind = given.info.levels.index(level) if level else 0
    if behind:
        ends.append(Forecast("tcb-status", None, f"{behind} levels behind the newest that Intel rates"))
    return tuple(ends)


def unused(case: Case, endorsements: Endorsements, now: int) -> tuple[Unused, ...]:
    """The endorsements that the verdict does not rest on, with reasons."""
    reasons = [_unused(case, data, content, now) for data, content in zip(endorsements, case.opened, strict=True)]
    return tuple([Unused(place, reason) for place, reason in enumerate(reasons) if reason])


def _unused(case: Case, data: bytes, content: Opened, now: int) -> str:
    flaws = [flaw for one in content.lists if (flaw := unused_list(one, case.authorities, now))]
    if not content.json:
        return "".join(flaws) if content.lists else generally(data)
    reasons = [*filter(None, [_passed_over(case, content, now)]), *flaws]
    if reasons and len(flaws) < len(content.lists):
        reasons.append("its other revocation lists count" if flaws else "its revocation lists count")
    return "; ".join(reasons)


def _passed_over(case: Case, content: Opened, now: int) -> str:
    """Why other collateral was used instead; empty if this is the one."""
    one, machine = content.collateral, case.machine
    if one is None:
        return f"malformed: {content.malformed}"
    if one is case.collateral:
        return ""
    if one.info.tee != case.quote.tee or one.identity.tee != case.quote.tee:
        return "collateral for another TEE"
    if machine is not None and (one.info.fmspc, one.info.pce_id) != (machine.fmspc, machine.pce_id):
        return "collateral for another model of machine"
    if not intel.collateral_signed(one, case.quote.chain):
        return "collateral that Intel did not sign"
    period = outside(_of_texts(one), now)
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
