"""One Intel quote with what there is to judge it by, and what both say together."""

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
"""Claims that rest on the vendor's word."""

OF_DOMAINS = (
    *("current_tcb_status", "current_tcb_date", "current_advisories"),
    *("module_status", "current_module_status"),
)
"""Those that trust domains have besides."""

ABSENT = Unknown(reason="the quote is not authentic, or that is not known")
NOTHING = Evaluation(None, None, None)


@record()
class Case:
    """A quote with what there is to judge it by: the collateral that fits best, and all revocation lists that were given.

    `domain` is the report of a trust domain, None for an enclave's quote. `authorities` are those of the machine's certificate and
    of the root, `standings` what the lists say of each; both empty without a chain of three certificates.
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
    """A quote, about a trust domain or an enclave, with the collateral that fits it best."""
    machine, chain = machine_of(quote.chain[0]), tuple(map(certificates.certificate, quote.chain))
    given, malformed = _given(endorsements)

    def fit(one: Collateral) -> tuple[bool, bool, bool, int, int, int]:
        """The newest of those that fit, are signed, and hold. What is older of its two texts counts first: they can be mixed."""
        info, evaluation = one.info, min(one.info.evaluation, one.identity.evaluation)
        of_machine = machine is not None and (info.fmspc, info.pce_id) == (machine.fmspc, machine.pce_id)
        held = intel.collateral_signed(one, quote.chain) and outside(periods(one), now) is None
        return info.tee == one.identity.tee == quote.tee, of_machine, held, evaluation, info.evaluation, info.start

    best = max(given, key=fit) if len(given) > 1 else given[0] if given else None
    authorities = _authorities(chain, best)
    lists = tuple([one for data in endorsements for one in intel.lists_in(data)])
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


def _given(endorsements: Endorsements) -> tuple[tuple[Collateral, ...], str]:
    """What there is of collateral, and what is wrong with the first that cannot be read."""
    found, wrong = list[Collateral](), ""
    for data in endorsements:
        try:
            one = intel.collateral(data)
        except ParseError as e:
            wrong = wrong or e.message
        else:
            if one is not None:
                found.append(one)
    return tuple(found), wrong


def _authorities(chain: tuple[Certificate | None, ...], given: Collateral | None) -> tuple[Authority, ...]:
    """Who signs revocation lists, and what these may name: the machine's certificate, its authority's, and those of the signers."""
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
    """At launch, and of what the machine has now: the same, where the report does not tell them apart."""
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
    """When both of its texts hold."""
    info, identity = given.info, given.identity
    return (
        Period(info.start, info.end, "the TCB info"),
        Period(identity.start, identity.end, "the quoting enclave's identity"),
    )


def spans(case: Case, given: Collateral) -> tuple[Period, ...]:
    """When everything holds that has to: of each authority the newest list."""
    signers = (certificates.certificate(given.info_signer), certificates.certificate(given.identity_signer))
    return (
        *(one.period for one in (*case.chain, *dict.fromkeys(signers)) if one),
        *periods(given),
        *(
            Period(found.newest.start, found.newest.end, f"the revocation list of {authority.name}")
            for found, authority in zip(case.standings, case.authorities, strict=True)
            if found.newest
        ),
    )


def forecast(case: Case) -> tuple[Forecast, ...]:
    """When what it rests on ends, and how far the machine is behind."""
    given = case.collateral
    if given is None:
        return ()
    ends = [Forecast("validity", period.end, f"{period.name} ends") for period in spans(case, given)]
    found = case.launch.platform
    behind = given.info.levels.index(found) if found else 0
    if behind:
        ends.append(Forecast("tcb-status", None, f"{behind} levels behind the newest that the vendor knows"))
    return tuple(ends)


def unused(case: Case, endorsements: Endorsements, now: int) -> tuple[Unused, ...]:
    """The endorsements that the verdict does not rest on."""
    return unused_of(endorsements, set(), lambda data: _unused(case, data, now))


def _unused(case: Case, data: bytes, now: int) -> str:
    lists = intel.lists_in(data)
    flaws = [flaw for one in lists if (flaw := unused_list(one, case.authorities, now))]
    if data.lstrip()[:1] != b"{":
        return generally(data) if not lists else "".join(flaws)
    reasons = [*filter(None, [_passed_over(case, data, now)]), *flaws]
    if reasons and len(flaws) < len(lists):
        reasons.append("its other revocation lists count" if flaws else "its revocation lists count")
    return "; ".join(reasons)


def _passed_over(case: Case, data: bytes, now: int) -> str:
    """Why this is not the collateral that was used; empty if it is."""
    try:
        one = intel.collateral(data)
    except ParseError as e:
        return f"malformed: {e.message}"
    machine = case.machine
    if one is None or one is case.collateral:
        return ""
    if one.info.tee != case.quote.tee or one.identity.tee != case.quote.tee:
        return "collateral for another TEE"
    if machine is not None and (one.info.fmspc, one.info.pce_id) != (machine.fmspc, machine.pce_id):
        return "collateral for another model of machine"
    if not intel.collateral_signed(one, case.quote.chain):
        return "collateral that the vendor did not sign"
    period = outside(periods(one), now)
    return reason(period, now) if period else "another is as new, or newer"


def vendor(case: Case, ledger: Ledger) -> dict[str, Any]:
    """What the vendor says of the machine."""
    machine, given = case.machine, case.collateral
    revoked: bool | Unknown = ABSENT if (found := ledger.passed("revocation")) is None else not found
    names = VENDOR if case.domain is None else (*VENDOR, *OF_DOMAINS)
    if not ledger.all_passed or machine is None or given is None:
        return {**dict.fromkeys(names, ABSENT), "revoked": revoked}
    said = {
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
    return said if case.domain is None else said | _of_domain(case)


def _of_domain(case: Case) -> dict[str, Any]:
    """What an enclave's quote has not: what the machine has now, and the TDX modules' own levels."""
    launch, current = case.launch.module, case.current.module
    assert launch is not None and current is not None  # noqa: PT018  # all checks have passed
    return {
        "current_tcb_status": case.current.status,
        "current_tcb_date": case.current.date,
        "current_advisories": case.current.advisories,
        "module_status": launch.status,
        "current_module_status": current.status,
    }


def _flag(said: bool | None) -> bool | Unknown:
    return Unknown(reason="the machine's certificate does not say") if said is None else said


def host_data(value: bytes) -> bytes:
    """What a launch was bound to: 32 bytes, or all of a wider field that holds more."""
    return value if any(value[32:]) else value[:32]
